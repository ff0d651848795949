import { afterEach, describe, expect, it } from '@jest/globals';
import type { RowDataPacket } from 'mysql2/promise';
import {
  openSession,
  openSessions,
  runUnwatched,
  type ClientSession,
} from '../support/client-session.ts';
import {
  asRoot,
  liveIds,
  nodeOn,
  processList,
  servers,
  type Account,
  type Server,
} from '../support/server.ts';
import { createService } from '../support/service.ts';
import { until } from '../support/until.ts';

describe.each(servers)('the service on $flavour $version', (server) => {
  const service = createService({ registry: [nodeOn(server)] });
  const opened: ClientSession[] = [];

  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });

  async function open(account?: Account): Promise<ClientSession> {
    const session = await openSession(server, account);
    opened.push(session);
    return session;
  }

  it('ends the named sessions and no other: idle, in a statement and in a transaction', async () => {
    const [idle, busy, inTransaction, bystander, busyBystander] = [
      await open(),
      await open(),
      await open(),
      await open(),
      await open(),
    ];
    runUnwatched(busy, 'SELECT SLEEP(600)');
    runUnwatched(busyBystander, 'SELECT SLEEP(600)');
    await inTransaction.connection.query('START TRANSACTION');
    await until('both statements run', async () => (await sleeping(server)) >= 2);
    const victims = [idle.id, busy.id, inTransaction.id];

    const answer = await service.kill([...victims, 4_000_000_000n]);

    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      processes_killed: victims,
      processes_not_found: [4_000_000_000n],
    });
    await until('the node has none of them', async () => {
      const alive = await liveIds(server);
      return victims.every((id) => !alive.has(id));
    });
    await until('their clients know', () =>
      [idle, busy, inTransaction].every((session) => session.hasEnded()),
    );
    const alive = await liveIds(server);
    expect([bystander.id, busyBystander.id].filter((id) => !alive.has(id))).toEqual([]);
    await expect(bystander.connection.query('SELECT 1')).resolves.toBeDefined();
  });

  it('lists each session once, with all its fields', async () => {
    const session = await open();
    await session.connection.query(`USE ${server.app.user}`);
    runUnwatched(session, 'SELECT SLEEP(601)');
    await until('the statement runs', async () => (await sleeping(server)) >= 1);

    // Other test files have sessions on the same node, so this one can be on any page.
    const processes: { id: bigint }[] = [];
    for (let total = 1n; BigInt(processes.length) < total;) {
      const { status, body } = await service.list(`?offset=${processes.length}`);
      expect(status).toBe(200);
      const page = body as { processes: { id: bigint }[]; total_count: bigint };
      if (page.processes.length === 0) break;
      processes.push(...page.processes);
      total = page.total_count;
    }
    const host: unknown = expect.stringMatching(/^[^:]+:\d+$/);
    expect(processes.filter(({ id }) => id === session.id)).toEqual([
      {
        id: session.id,
        user: server.app.user,
        host,
        db: server.app.user,
        command: 'Query',
        time: expect.any(BigInt),
        state: 'User sleep',
        info: 'SELECT SLEEP(601)',
      },
    ]);
  });

  it('rolls back 100,000 uncommitted rows of an ended session', async () => {
    const table = `${server.app.user}.ballast_${server.flavour}`;
    const session = await open();
    await session.connection.query(`CREATE TABLE ${table} (n INT) ENGINE=InnoDB`);
    await session.connection.query('START TRANSACTION');
    const digits =
      '(SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)';
    await session.connection.query(
      `INSERT INTO ${table} SELECT a.n FROM ${digits} a, ${digits} b, ${digits} c, ${digits} d, ${digits} e`,
    );
    expect(await uncommittedRows(server, table)).toBe(100_000);

    const answer = await service.kill([session.id]);

    expect(answer.body).toEqual({ processes_killed: [session.id], processes_not_found: [] });
    await until('the rows are gone', async () => (await uncommittedRows(server, table)) === 0);
    await until('the session is gone', async () => !(await liveIds(server)).has(session.id));
  });

  it('does not confuse 2^32 + n with n', async () => {
    const session = await open();
    const wrapped = [1n, 2n, 2n ** 31n - 1n].map((k) => k * 2n ** 32n + session.id);

    const answer = await service.kill(wrapped);

    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ processes_killed: [], processes_not_found: wrapped });
    await expect(session.connection.query('SELECT 1')).resolves.toBeDefined();
  });

  it('ends 1,000 sessions in one request, and no others', async () => {
    const sessions = await openSessions(server, 1010);
    opened.push(...sessions);
    const victims = sessions.slice(5, 1005);
    const bystanders = [...sessions.slice(0, 5), ...sessions.slice(1005)];

    const answer = await service.kill(victims.map(({ id }) => id));

    // Compare the body first, because it has the reason of an error.
    expect(answer.body).toEqual({
      processes_killed: victims.map(({ id }) => id),
      processes_not_found: [],
    });
    expect(answer.status).toBe(200);
    await until('the node has none of the victims', async () => {
      const alive = await liveIds(server);
      return victims.every(({ id }) => !alive.has(id));
    });
    const alive = await liveIds(server);
    expect(bystanders.filter(({ id }) => !alive.has(id))).toEqual([]);
  });

  it('reports every id in both responses if two requests name the same sessions', async () => {
    const sessions = await openSessions(server, 60);
    opened.push(...sessions);
    const ids = sessions.map(({ id }) => id);

    const answers = await Promise.all([service.kill(ids), service.kill(ids.toReversed())]);

    for (const { status, body } of answers) {
      const { processes_killed: killed, processes_not_found: notFound } = body as Arrays;
      expect(status).toBe(200);
      expect([...killed, ...notFound].sort(byValue)).toEqual(ids.toSorted(byValue));
    }
    const killed = answers.flatMap(({ body }) => (body as Arrays).processes_killed);
    expect(new Set(killed)).toEqual(new Set(ids));
    await until('the node has none of them', async () => {
      const alive = await liveIds(server);
      return ids.every((id) => !alive.has(id));
    });
  });

  it('reports a session that has ended as not found', async () => {
    const session = await open();
    await session.connection.end();
    await until('it is gone', async () => !(await liveIds(server)).has(session.id));

    const answer = await service.kill([session.id]);

    expect(answer.body).toEqual({ processes_killed: [], processes_not_found: [session.id] });
  });

  it('neither ends nor lists the sessions of its own account', async () => {
    const own = await open(server.control);

    const answer = await service.kill([own.id]);

    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ processes_killed: [], processes_not_found: [own.id] });
    await expect(own.connection.query('SELECT 1')).resolves.toBeDefined();
    const processes = await service.listAll();
    expect(processes.filter(({ user }) => user === server.control.user)).toEqual([]);
  });

  it("ends the database administrator's session only if the node allows it", async () => {
    const administrator = await open(server.root);
    const ordinary = await open();

    const answer = await service.kill([administrator.id, ordinary.id]);

    await until(
      'the ordinary session is gone',
      async () => !(await liveIds(server)).has(ordinary.id),
    );
    if (server.flavour === 'mariadb') {
      expect(answer.body).toEqual({
        processes_killed: [administrator.id, ordinary.id],
        processes_not_found: [],
      });
      await until('it is gone', async () => !(await liveIds(server)).has(administrator.id));
      return;
    }
    // MySQL protects accounts with SYSTEM_USER from accounts without: error 1095.
    expect(answer.status).toBe(500);
    expect(answer.body).toEqual({
      error_code: 'DBS.200005',
      error_msg: `Server failure. 1 killed, 0 not found, 1 failed, 0 unknown. Failed: ${administrator.id}. The node protects a session whose account has SYSTEM_USER, which the control account lacks. End it on the node, or GRANT SYSTEM_USER ON *.* TO the control account. That also exposes system threads.`,
      processes_killed: [ordinary.id],
      processes_not_found: [],
      processes_failed: [administrator.id],
      processes_unknown: [],
    });
    await expect(administrator.connection.query('SELECT 1')).resolves.toBeDefined();
  });
});

interface Arrays {
  readonly processes_killed: readonly bigint[];
  readonly processes_not_found: readonly bigint[];
}

async function sleeping(server: Server): Promise<number> {
  const rows = await processList(server);
  return rows.filter((row) => row['State'] === 'User sleep' && row['User'] === server.app.user)
    .length;
}

async function uncommittedRows(server: Server, table: string): Promise<number> {
  return asRoot(server, async (root) => {
    await root.query('SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED');
    const [rows] = await root.query<RowDataPacket[]>(`SELECT COUNT(*) AS n FROM ${table}`);
    return Number(rows[0]?.['n']);
  });
}

function byValue(a: bigint, b: bigint): number {
  return a < b ? -1 : 1;
}
