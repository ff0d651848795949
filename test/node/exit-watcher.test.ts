import { afterEach, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import type { ControlConnection, Nodes } from '../../src/domain/node.ts';
import type { TransactionReading } from '../../src/domain/locks.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { changedConnection } from '../support/changed-connection.ts';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import { processesPath } from '../support/ids.ts';
import { liveIds, nodeOn, processList, servers } from '../support/server.ts';
import { createService, TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

describe.each(servers)('a kill on $flavour $version that waits', (server) => {
  /** The result of each query for the node's transactions. */
  const seen: TransactionReading[] = [];
  const mysql = new MysqlNodes();
  const nodes: Nodes = {
    probe: (node, deadline) => mysql.probe(node, deadline),
    withConnection: (node, deadline, work) =>
      mysql.withConnection(node, deadline, (connection) => {
        const transactions: ControlConnection['transactions'] = async (latest) => {
          const found = await connection.transactions(latest);
          seen.push(found);
          return found;
        };
        return work(changedConnection(connection, { transactions }));
      }),
  };
  const service = createService({ registry: [nodeOn(server)], nodes });
  const opened: ClientSession[] = [];
  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });

  async function open(): Promise<ClientSession> {
    const session = await openSession(server);
    opened.push(session);
    return session;
  }

  interface Killed {
    readonly id: number;
    readonly outcome: string;
    readonly rows_left?: number;
    readonly seconds_left?: number;
  }

  async function send(ids: readonly bigint[], prefer: string, query = ''): Promise<object[]> {
    const res = await request(service.app)
      .delete(`${processesPath()}${query}`)
      .set({ 'X-Auth-Token': TOKEN, Prefer: prefer })
      .type('application/json')
      .send(`{"processes":[${ids.join(',')}]}`)
      .expect(200);
    return (res.body as { processes: object[] }).processes;
  }

  async function kill(ids: readonly bigint[], prefer: string): Promise<Map<number, string>> {
    const processes = (await send(ids, prefer)) as readonly Killed[];
    return new Map(processes.map(({ id, outcome }) => [id, outcome]));
  }

  /** Opens a session with a transaction that has inserted 2^doublings rows. */
  async function write(table: string, doublings: number): Promise<ClientSession> {
    const session = await open();
    await session.connection.query(`DROP TABLE IF EXISTS ${table}`);
    await session.connection.query(`CREATE TABLE ${table} (n INT, s CHAR(200)) ENGINE=InnoDB`);
    await session.connection.query('START TRANSACTION');
    await session.connection.query(`INSERT INTO ${table} VALUES (1, REPEAT('x', 200))`);
    for (let doubled = 0; doubled < doublings; doubled += 1) {
      await session.connection.query(`INSERT INTO ${table} SELECT * FROM ${table}`);
    }
    return session;
  }

  it('returns once the sessions are gone from the node', async () => {
    const [idle, busy] = [await open(), await open()];
    runUnwatched(busy, 'SELECT SLEEP(600)');

    const outcomes = await kill(
      [idle.id, busy.id, 4_000_000_000n],
      'wait=20, return=representation',
    );

    expect([...outcomes.values()]).toEqual(['gone', 'gone', 'not_found']);
    const alive = await liveIds(server);
    expect([idle.id, busy.id].filter((id) => alive.has(id))).toEqual([]);
  });

  it('returns after the rollback, even if MySQL no longer lists the session', async () => {
    const table = `${server.app.user}.waited_${server.flavour}`;
    const session = await write(table, 18);

    const outcomes = await kill([session.id], 'wait=30, return=representation');

    expect([...outcomes.values()]).toEqual(['gone']);
    expect(seen.some((found) => found.bySession.get(session.id)?.state === 'ROLLING BACK')).toBe(
      true,
    );
    const [rows] = await (
      await open()
    ).connection.query(`SELECT COUNT(*) AS n FROM ${table} LOCK IN SHARE MODE`);
    expect(rows).toEqual([{ n: '0' }]);
  });

  it('shows the transaction before the kill, and the rest of its rollback afterwards', async () => {
    const table = `${server.app.user}.left_${server.flavour}`;
    const idle = await open();
    const both = 'wait=1, return=representation';
    // A fast machine rolls back half a million rows within the wait: then it gets more of them.
    // Another reader of the shared server can keep it from renewing its transactions.
    let after: Killed | undefined;
    for (let doublings = 19; after?.seconds_left === undefined; doublings += 1) {
      const { id } = await write(table, doublings);
      const rows = 2 ** doublings;

      const look = () => send([id, idle.id], 'return=representation', '?dry_run=true');
      const before = [
        { outcome: 'would_kill', transaction: { state: 'RUNNING', rows_modified: rows } },
        { outcome: 'would_kill', transaction: null },
      ];
      const shows = async (): Promise<boolean> =>
        JSON.stringify(await look()).includes(`"rows_modified":${rows}}`);
      await until('the node shows all rows', shows, 60_000, 200);
      expect(await look()).toMatchObject(before);

      [after] = (await send([id], both)) as readonly Killed[];

      if (after?.outcome === 'gone') expect(after).not.toHaveProperty('rows_left');
      else expect(after?.outcome).toBe('rolling_back');
      if (after?.rows_left !== undefined) expect(after.rows_left).toBeLessThanOrEqual(rows);
      await until('it is rolled back', async () => {
        const client = await open();
        await client.connection.query('SET SESSION innodb_lock_wait_timeout = 1');
        const sql = `SELECT COUNT(*) AS n FROM ${table} LOCK IN SHARE MODE`;
        const found = await client.connection.query(sql).catch(() => undefined);
        return String((found?.[0] as { n?: string }[] | undefined)?.[0]?.n) === '0';
      });
    }
    expect(after).toMatchObject({ outcome: 'rolling_back' });
    expect(after.rows_left).toBeGreaterThan(0);
    expect(after.seconds_left).toBeGreaterThan(0);
  }, 240_000);

  it('returns after the rollback of a statement that was running', async () => {
    const table = `${server.app.user}.running_${server.flavour}`;
    const session = await write(table, 17);
    runUnwatched(session, `INSERT INTO ${table} SELECT a.* FROM ${table} a, ${table} b`);
    await until('the statement runs', async () =>
      (await processList(server)).some((row) => String(row['Info']).includes('a.* FROM')),
    );

    const outcomes = await kill([session.id], 'wait=30, return=representation');

    expect([...outcomes.values()]).toEqual(['gone']);
    // During the rollback, this SELECT would wait for its locks.
    const client = await open();
    await client.connection.query('SET SESSION innodb_lock_wait_timeout = 1');
    const [rows] = await client.connection.query(
      `SELECT COUNT(*) AS n FROM ${table} LOCK IN SHARE MODE`,
    );
    expect(rows).toEqual([{ n: '0' }]);
  });
});
