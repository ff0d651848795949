import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RowDataPacket } from 'mysql2/promise';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { openSession, openSessions, type ClientSession } from '../support/client-session.ts';
import {
  asRoot,
  connectAs,
  createAccounts,
  nodeOn,
  processList,
  servers,
  type Account,
  type Server,
} from '../support/server.ts';
import { createService, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

/** More sessions than the limit beyond which the service looks single ones up. */
const CROWD = 520;

for (const { canHavePair, version } of servers.filter(({ flavour }) => flavour === 'mysql')) {
  (canHavePair ? describe : describe.skip)(`a mysql ${version} with many sessions`, testLookUp);
}

function testLookUp(): void {
  let own: OwnServer;
  let server: Server;
  let crowd: ClientSession[] = [];
  let nodes: MysqlNodes;
  let service: TestService;
  const opened: ClientSession[] = [];

  beforeAll(async () => {
    own = await startServer('mysql', { arguments: ['--max-connections=700'] });
    server = await createAccounts(own);
    await asRoot(server, async (root) => {
      const { user } = server.control;
      await root.query(`GRANT SELECT ON performance_schema.processlist TO ${user}`);
      await root.query(`GRANT SELECT ON performance_schema.threads TO ${user}`);
    });
    crowd = await openSessions(server, CROWD);
    nodes = new MysqlNodes();
    service = createService({ registry: [nodeOn(server)], nodes });
    // The service learns the number of sessions from a whole list.
    await service.list();
  }, 120_000);
  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });
  afterAll(async () => {
    nodes.close();
    for (const session of crowd) session.close();
    await own.stop();
  });

  async function open(account?: Account): Promise<ClientSession> {
    const session = await openSession(server, account);
    opened.push(session);
    return session;
  }

  /** Returns how many whole lists the server returns during the work. */
  async function listsOf(work: () => Promise<unknown>): Promise<number> {
    const count = (): Promise<number> =>
      asRoot(server, async (root) => {
        const sql = "SHOW GLOBAL STATUS LIKE 'Com_show_processlist'";
        const [rows] = await root.query<RowDataPacket[]>(sql);
        return Number(rows[0]?.['Value']);
      });
    const before = await count();
    await work();
    return (await count()) - before;
  }

  it.each(['at first', 'later'])(
    'is queried for the requested sessions alone, and no other session ends, %s',
    async () => {
      const [one, other, bystander] = [await open(), await open(), await open()];
      const lists = await listsOf(async () => {
        expect((await service.kill([one.id, other.id])).body).toEqual({
          processes_killed: [one.id, other.id],
          processes_not_found: [],
        });
      });
      expect(lists).toBe(0);
      await until('they have ended', () => one.hasEnded() && other.hasEnded());
      await expect(bystander.connection.query('SELECT 1')).resolves.toBeDefined();
    },
  );

  it('is listed whole before an id is reported as not found', async () => {
    const session = await open();
    const lists = await listsOf(async () => {
      expect((await service.kill([session.id, 4_000_000_000n])).body).toEqual({
        processes_killed: [session.id],
        processes_not_found: [4_000_000_000n],
      });
    });
    expect(lists).toBe(1);
  });

  it('keeps its internal threads, whether it looks them up or not', async () => {
    const internal = await asRoot(server, async (root) => {
      const sql = 'SELECT ID FROM performance_schema.processlist WHERE USER = ?';
      const [rows] = await root.query<RowDataPacket[]>(sql, ['event_scheduler']);
      return BigInt(String(rows[0]?.['ID']));
    });
    expect((await service.kill([internal])).body).toEqual({
      processes_killed: [],
      processes_not_found: [internal],
    });
  });

  it('keeps an event worker with the endpoint of a client, thanks to the second opinion', async () => {
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER worker@'10.0.0.4:51234' IDENTIFIED BY 'w'`);
      await root.query(`GRANT ALL ON *.* TO worker@'10.0.0.4:51234'`);
      await root.query(
        `CREATE DEFINER=worker@'10.0.0.4:51234' EVENT ${server.app.user}.e
         ON SCHEDULE AT NOW() ON COMPLETION PRESERVE DO SELECT SLEEP(600)`,
      );
    });
    const find = async (): Promise<RowDataPacket | undefined> =>
      (await processList(server)).find((row) => row['User'] === 'worker');
    await until('the event runs', async () => (await find()) !== undefined);
    const row = await find();
    // In the list alone, the worker looks like a client.
    expect(row).toMatchObject({ Host: '10.0.0.4:51234', Command: 'Connect' });
    const id = BigInt(String(row?.['Id']));

    expect((await service.kill([id])).body).toEqual({
      processes_killed: [],
      processes_not_found: [id],
    });
    expect(await find()).toBeDefined();
    await asRoot(server, (root) => root.query(`KILL ${id}`));
  });

  it('is listed whole if the account may not look sessions up', async () => {
    const poor = { user: 'poor', password: 'poor' };
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER poor@'%' IDENTIFIED BY 'poor'`);
      await root.query(`GRANT PROCESS, CONNECTION_ADMIN ON *.* TO poor`);
    });
    await (await connectAs(server, poor, { ssl: { rejectUnauthorized: false } })).end();
    const others = new MysqlNodes();
    const api = createService({ registry: [nodeOn(server, poor)], nodes: others });
    await api.list();
    const [one, other] = [await open(), await open()];
    const lists = await listsOf(async () => {
      for (const { id } of [one, other]) {
        expect((await api.kill([id])).body).toMatchObject({ processes_killed: [id] });
      }
    });
    expect(lists).toBe(2);
    others.close();
  });
}
