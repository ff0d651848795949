import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { openSession, openSessions, type ClientSession } from '../support/client-session.ts';
import {
  asRoot,
  createAccounts,
  nodeOn,
  processList,
  servers,
  type Server,
} from '../support/server.ts';
import { createService, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';
import { openXSession, type XSession } from '../support/x-session.ts';

/** More sessions than the limit beyond which the service looks single ones up. */
const MANY = 520;
const X_USER = { user: 'xu', password: 'xu-of-the-tests' };

for (const { canHavePair, version } of servers.filter(({ flavour }) => flavour === 'mysql')) {
  (canHavePair ? describe : describe.skip)(`X Protocol sessions on mysql ${version}`, testX);
}

function testX(): void {
  let own: OwnServer;
  let server: Server;
  let port: number;
  let crowd: ClientSession[] = [];
  const opened: { close(): void }[] = [];

  beforeAll(async () => {
    port = await freePort();
    own = await startServer('mysql', {
      arguments: [
        '--max-connections=700',
        '--mysqlx=ON',
        '--mysqlx-bind-address=127.0.0.1',
        `--mysqlx-port=${port}`,
      ],
    });
    server = await createAccounts(own);
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER xu@'%' IDENTIFIED BY '${X_USER.password}'`);
      for (const table of ['processlist', 'threads']) {
        await root.query(`GRANT SELECT ON performance_schema.${table} TO ${server.control.user}`);
      }
    });
  }, 120_000);
  afterEach(() => {
    for (const each of opened.splice(0)) each.close();
  });
  afterAll(async () => {
    for (const session of crowd) session.close();
    await own.stop();
  });

  async function openX(): Promise<{ readonly session: XSession; readonly id: bigint }> {
    const before = new Set((await xRows()).map(({ id }) => id));
    const session = await openXSession(port, X_USER);
    opened.push(session);
    const found = (await xRows()).find(({ id }) => !before.has(id));
    if (found === undefined) throw new Error('The session is not listed');
    return { session, id: found.id };
  }

  async function xRows(): Promise<{ readonly id: bigint; readonly state: string }[]> {
    const rows = (await processList(server)).filter((row) => row['User'] === X_USER.user);
    return rows.map((row) => ({ id: BigInt(String(row['Id'])), state: String(row['State']) }));
  }

  /** Ends an idle and a busy X session and an ordinary one. Expects that another idle and busy one live. */
  async function endThree(service: TestService): Promise<void> {
    const [idle, busy, idleOther, busyOther] = [
      await openX(),
      await openX(),
      await openX(),
      await openX(),
    ];
    const ordinary = await openSession(server);
    opened.push(ordinary);
    for (const { session, id } of [busy, busyOther]) {
      session.run('DO SLEEP(600)');
      await until(`session ${id} runs its statement`, async () =>
        (await xRows()).some((row) => row.id === id && row.state === 'User sleep'),
      );
    }
    const all = [idle, busy, idleOther, busyOther].map(({ id }) => id);
    expect(await listed(service)).toEqual(expect.arrayContaining(all));

    const ids = [idle.id, busy.id, ordinary.id];
    expect((await service.kill([busy.id])).body).toMatchObject({ processes_killed: [busy.id] });
    expect((await service.kill([idle.id, ordinary.id])).body).toEqual({
      processes_killed: [idle.id, ordinary.id],
      processes_not_found: [],
    });

    await until('they have ended', () =>
      [idle.session, busy.session, ordinary].every((session) => session.hasEnded()),
    );
    const left = await listed(service);
    expect(left).toEqual(expect.arrayContaining([idleOther.id, busyOther.id]));
    expect(left.filter((id) => ids.includes(id))).toEqual([]);
  }

  async function listed(service: TestService): Promise<bigint[]> {
    const { total_count: total } = (await service.list()).body as { total_count: bigint };
    const last = total > 100n ? total - 100n : 0n;
    const { processes } = (await service.list(`?offset=${last}`)).body as {
      processes: { id: bigint }[];
    };
    return processes.map(({ id }) => id);
  }

  it.each([
    ['few', 0],
    ['many', MANY],
  ])('are listed and ended among %s other sessions', async (_how, count) => {
    crowd = await openSessions(server, count);
    const nodes = new MysqlNodes();
    const service = createService({ registry: [nodeOn(server)], nodes });
    await endThree(service);
    nodes.close();
  });

  it('are listed and ended while they are busy, even if the list shows no ports', async () => {
    const show = 'SET GLOBAL performance_schema_show_processlist =';
    const [ended, spared] = [await openX(), await openX()];
    await asRoot(server, (root) => root.query(`${show} ON`));
    try {
      for (const { session, id } of [ended, spared]) {
        session.run('DO SLEEP(600)');
        await until(`session ${id} runs its statement`, async () =>
          (await xRows()).some((row) => row.id === id && row.state === 'User sleep'),
        );
      }
      const nodes = new MysqlNodes();
      const service = createService({ registry: [nodeOn(server)], nodes });
      expect(await listed(service)).toEqual(expect.arrayContaining([ended.id, spared.id]));
      expect((await service.kill([ended.id])).body).toEqual({
        processes_killed: [ended.id],
        processes_not_found: [],
      });
      await until('it has ended', () => ended.session.hasEnded());
      expect(spared.session.hasEnded()).toBe(false);
      expect(await listed(service)).toContain(spared.id);
      nodes.close();
    } finally {
      await asRoot(server, (root) => root.query(`${show} OFF`));
    }
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
