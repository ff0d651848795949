import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { RowDataPacket } from 'mysql2/promise';
import request from 'supertest';
import type { Nodes } from '../../src/domain/node.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { changedConnection } from '../support/changed-connection.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import { processesPath } from '../support/ids.ts';
import {
  asRoot,
  createAccounts,
  liveIds,
  nodeOn,
  servers,
  type Server,
} from '../support/server.ts';
import { createService, TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? describe : describe.skip)(`after a restart of ${flavour} ${version}`, () => {
    testRestarts(flavour);
  });
}

function testRestarts(flavour: Server['flavour']): void {
  let own: OwnServer;
  let server: Server;
  const opened: ClientSession[] = [];

  beforeAll(async () => {
    own = await startServer(flavour);
    server = await createAccounts(own);
  }, 120_000);
  beforeEach(async () => {
    // A request gets an error if the server may have started after it.
    await until('the server is old enough', async () =>
      asRoot(server, async (root) => {
        const [rows] = await root.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Uptime'");
        return Number(rows[0]?.['Value']) >= 3;
      }),
    );
  });
  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });
  afterAll(async () => {
    await own.stop();
  });

  async function open(): Promise<ClientSession> {
    const session = await openSession(server);
    opened.push(session);
    return session;
  }

  /** Restarts the server until a new client gets the id. The service can get the id first when it reconnects. */
  async function restartAndReuse(id: bigint): Promise<ClientSession> {
    for (;;) {
      await own.restart();
      for (let last = 0n; last < id;) {
        const session = await open();
        if (session.id === id) return session;
        last = session.id;
        await session.connection.end();
      }
    }
  }

  /** Opens sessions up to an id beyond those that a starting server uses itself, and returns that id. */
  async function victim(): Promise<bigint> {
    for (;;) {
      const session = await open();
      if (session.id >= 60n) return session.id;
      await session.connection.end();
    }
  }

  async function expectAlive(session: ClientSession): Promise<void> {
    expect((await liveIds(server)).has(session.id)).toBe(true);
    await expect(session.connection.query('SELECT 1')).resolves.toBeDefined();
  }

  it('between the request and the first connection, a session that reuses the id lives', async () => {
    const id = await victim();
    let reused: ClientSession | undefined;
    const mysql = new MysqlNodes();
    const nodes: Nodes = {
      probe: (node, deadline) => mysql.probe(node, deadline),
      async withConnection(node, deadline, work) {
        reused ??= await restartAndReuse(id);
        return mysql.withConnection(node, deadline, work);
      },
    };
    const service = createService({ registry: [nodeOn(server)], nodes });

    const answer = await service.kill([id]);

    expect([answer.status, answer.body]).toEqual([
      500,
      {
        error_code: 'DBS.200005',
        error_msg: expect.stringContaining('may have been started again') as unknown,
      },
    ]);
    await expectAlive(reused as unknown as ClientSession);
  });

  it('right after an earlier one, a session that reuses the id lives', async () => {
    let reused: ClientSession | undefined;
    const asked: bigint[] = [];
    const mysql = new MysqlNodes();
    const nodes: Nodes = {
      probe: (node, deadline) => mysql.probe(node, deadline),
      async withConnection(node, deadline, work) {
        if (asked[0] !== undefined) reused ??= await restartAndReuse(asked[0]);
        return mysql.withConnection(node, deadline, work);
      },
    };
    const service = createService({ registry: [nodeOn(server)], nodes });
    await own.restart();
    await until('it is seen again', async () => (await service.list()).status === 200);
    asked.push(await victim());

    const { status } = await service.kill(asked);

    expect([500, 503]).toContain(status);
    await expectAlive(reused as unknown as ClientSession);
    mysql.close();
  });

  it('between the list and the KILL, a session that reuses the id lives, and no kill is reported', async () => {
    const id = await victim();
    let reused: ClientSession | undefined;
    const mysql = new MysqlNodes();
    const nodes: Nodes = {
      probe: (node, deadline) => mysql.probe(node, deadline),
      withConnection: (node, deadline, work) =>
        mysql.withConnection(node, deadline, (connection) => {
          const late = changedConnection(connection, {
            kill: async (...kill) => {
              reused ??= await restartAndReuse(id);
              return connection.kill(...kill);
            },
          });
          return work(late);
        }),
    };
    const service = createService({ registry: [nodeOn(server)], nodes });

    const answer = await service.kill([id, 4_000_000_000n]);

    const { processes_killed, processes_not_found, processes_failed, processes_unknown } =
      answer.body as Record<string, bigint[]>;
    expect(answer.status).toBe(500);
    expect(processes_killed).toEqual([]);
    expect(processes_not_found).toEqual([4_000_000_000n]);
    expect([...(processes_failed ?? []), ...(processes_unknown ?? [])]).toEqual([id]);
    await expectAlive(reused as unknown as ClientSession);
  });

  it('before a request with `expected`, a session that reuses the id lives', async () => {
    const id = await victim();
    const service = createService({ registry: [nodeOn(server)] });
    const processes = await service.listAll();
    const host = processes.find((session) => session.id === id)?.host;
    const reused = await restartAndReuse(id);
    const body = `{"processes":[${id}],"expected":[{"id":${id},"host":"${String(host)}"}]}`;

    // The answer is an error while the server is young or was just unreachable.
    for (;;) {
      const res = await request(service.app)
        .delete(processesPath())
        .set('X-Auth-Token', TOKEN)
        .type('application/json')
        .send(body);
      if (res.status >= 500) continue;
      expect(res.text).toBe(`{"processes_killed":[],"processes_not_found":[${id}]}`);
      break;
    }
    await expectAlive(reused);
  });
}
