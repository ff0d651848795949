import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RowDataPacket } from 'mysql2/promise';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import {
  asRoot,
  createAccounts,
  nodeOn,
  pinOf,
  processList,
  servers,
  type Server,
} from '../support/server.ts';
import { createService, type Answer } from '../support/service.ts';
import { until } from '../support/until.ts';

const MAX_CONNECTIONS = 20;
const SILENT = 8;
const TRIES = 100;

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? describe : describe.skip)(
    `a ${flavour} ${version} without a free connection`,
    () => {
      testFullNode(flavour);
    },
  );
}

function testFullNode(flavour: Server['flavour']): void {
  let own: OwnServer;
  let server: Server;
  let sessions: ClientSession[] = [];
  let silent: Socket[] = [];

  beforeAll(async () => {
    const further = [`--max-connections=${MAX_CONNECTIONS}`, '--connect-timeout=600'];
    own = await startServer(flavour, { arguments: further });
    server = await createAccounts(own);
    if (flavour === 'mysql') {
      await asRoot(server, async (root) => {
        await root.query(`GRANT SERVICE_CONNECTION_ADMIN ON *.* TO '${server.control.user}'@'%'`);
      });
    }
  }, 120_000);
  afterEach(() => {
    for (const session of sessions) session.close();
    for (const socket of silent) socket.destroy();
  });
  afterAll(async () => {
    await own.stop();
  });

  /** Takes every connection with clients and sockets that never log in, even the one for privileged accounts. */
  async function fill(): Promise<void> {
    [silent, sessions] = [[], []];
    while (silent.length < SILENT) await takeOne();
    await until('every other connection is taken', async () => {
      const session = await openSession(server).catch((error: unknown) => {
        expect(error).toMatchObject({ errno: 1040 });
      });
      if (session) sessions.push(session);
      return session === undefined;
    });
    await takeOne();
  }

  /** Opens a socket that receives the greeting and sends nothing. */
  async function takeOne(): Promise<void> {
    await until('it is greeted', async () => {
      const socket = connect(server.port, server.host).on('error', () => undefined);
      const [first] = (await once(socket, 'data')) as [Buffer];
      // A full server sends an error in place of a greeting.
      const isGreeting = first[4] === 10;
      if (isGreeting) silent.push(socket);
      else socket.destroy();
      return isGreeting;
    });
  }

  /** Ends one client after the other, and replaces each, so that the node stays full. */
  async function killEach(kill: (id: bigint) => Promise<Answer>): Promise<void> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const [victim] = sessions.splice(0, 1);
      if (victim === undefined) throw new Error('There is no client');
      const { status, body } = await kill(victim.id);
      const expected = { processes_killed: [victim.id], processes_not_found: [] };
      expect([status, body]).toEqual([200, expected]);
      await until('the victim has ended', () => victim.hasEnded());
      // A client cannot take the last connection, so one of the silent sockets makes room.
      silent.pop()?.destroy();
      await until('the next client is connected', async () => {
        const next = await openSession(server).catch(() => undefined);
        if (next) sessions.push(next);
        return next !== undefined;
      });
      await takeOne();
    }
    expect(sessions.filter((session) => session.hasEnded())).toEqual([]);
  }

  it(`loses a session in ${TRIES} of ${TRIES} tries over a warm connection`, async () => {
    const nodes = new MysqlNodes();
    const service = createService({ registry: [nodeOn(server)], nodes });
    expect((await service.list()).status).toBe(200);
    await fill();
    await killEach((id) => service.kill([id]));
    nodes.close();
  }, 120_000);

  it(`loses a session in ${TRIES} of ${TRIES} tries over the spare port of a cold service`, async () => {
    const admin = { host: server.host, port: own.adminPort ?? 0 };
    const node = nodeOn(server, { admin, ...(await pinOf(server)) });
    await fill();
    await killEach(async (id) => {
      const nodes = new MysqlNodes();
      const answer = await createService({ registry: [node], nodes }).kill([id]);
      nodes.close();
      return answer;
    });
  }, 120_000);

  it.each(['refuses', 'is silent'])(
    'is reached by the spare port when the main port %s',
    async (what) => {
      const session = await openSession(server);
      sessions = [session];
      const listener = createServer(() => undefined).listen(0, '127.0.0.1');
      await once(listener, 'listening');
      // Nothing listens on the port of the discard service.
      const port = what === 'refuses' ? 9 : (listener.address() as AddressInfo).port;
      const admin = { host: server.host, port: own.adminPort ?? 0 };
      const nodes = new MysqlNodes();
      const address = { host: '127.0.0.1', port, admin, connectTimeoutMs: 500 };
      const node = nodeOn(server, { ...address, ...(await pinOf(server)) });

      const answer = await createService({ registry: [node], nodes }).kill([session.id]);

      expect(answer.body).toMatchObject({ processes_killed: [session.id] });
      await until('the spare connection is closed', async () => {
        const rows = await processList(server);
        return rows.every((row) => row['User'] !== server.control.user);
      });
      nodes.close();
      listener.close();
    },
  );

  it('has its list read at most five times for a hundred concurrent requests', async () => {
    const nodes = new MysqlNodes();
    const service = createService({ registry: [nodeOn(server)], nodes });
    await service.list();
    const lists = (): Promise<number> =>
      asRoot(server, async (root) => {
        const sql = "SHOW GLOBAL STATUS LIKE 'Com_show_processlist'";
        const [rows] = await root.query<RowDataPacket[]>(sql);
        return Number(rows[0]?.['Value']);
      });
    const before = await lists();
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => service.kill([4_000_000_000n])),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 200));
    const read = (await lists()) - before;
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThanOrEqual(5);
    nodes.close();
  });

  it('without a spare port is reported as full', async () => {
    await fill();
    const nodes = new MysqlNodes();
    const answer = await createService({ registry: [nodeOn(server)], nodes }).kill([1n]);
    expect([answer.status, answer.body]).toEqual([
      500,
      {
        error_code: 'DBS.200005',
        error_msg: 'Server failure. The node has no connection left for the control account.',
      },
    ]);
    nodes.close();
  });
}
