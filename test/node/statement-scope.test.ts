import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'lossless-json';
import type { RowDataPacket } from 'mysql2/promise';
import request from 'supertest';
import { NO_AUDIT, type Conclusion, type Intent } from '../../src/domain/termination.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import { processesPath } from '../support/ids.ts';
import { asRoot, nodeOn, processList, servers, type Server } from '../support/server.ts';
import { createService, TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

const READS = ['performance_schema.threads', 'performance_schema.events_statements_current'];
const cases = servers.flatMap((server) => [
  { server, flavour: server.flavour, with: 'the ids of statements', reads: READS },
  ...(server.flavour === 'mysql'
    ? [{ server, flavour: server.flavour, with: 'the process list alone', reads: [] }]
    : []),
]);

describe.each(cases)('a DELETE with scope=statement on $flavour, with $with', (given) => {
  const { server } = given;
  const suffix = randomBytes(3).toString('hex');
  const control = { user: `sc_stop_${suffix}`, password: 'password-of-the-control' };
  const table = `${server.app.user}.stop_${suffix}`;
  const opened: ClientSession[] = [];
  const intents: Intent[] = [];
  const conclusions: Conclusion[] = [];
  /** Runs while the audit writes an intent. */
  let meanwhile = (): Promise<void> => Promise.resolve();
  const service = createService({
    registry: [nodeOn(server, control)],
    audit: {
      ...NO_AUDIT,
      intend: async (intent) => {
        intents.push(intent);
        await meanwhile();
      },
      conclude: (conclusion) => conclusions.push(conclusion),
    },
  });

  beforeAll(async () => {
    const killAny = server.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER '${control.user}'@'%' IDENTIFIED BY '${control.password}'`);
      await root.query(`GRANT PROCESS, ${killAny} ON *.* TO '${control.user}'@'%'`);
      for (const read of given.reads) {
        await root.query(`GRANT SELECT ON ${read} TO '${control.user}'@'%'`);
      }
      await root.query(`CREATE TABLE ${table} (n INT PRIMARY KEY, v INT) ENGINE=InnoDB`);
      await root.query(`INSERT INTO ${table} VALUES (1, 0), (2, 0)`);
    });
  });
  afterAll(async () => {
    await asRoot(server, async (root) => {
      await root.query(`DROP TABLE ${table}`);
      await root.query(`DROP USER '${control.user}'@'%'`);
    });
  });
  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
    meanwhile = () => Promise.resolve();
    intents.length = conclusions.length = 0;
  });

  async function open(): Promise<ClientSession> {
    const session = await openSession(server);
    opened.push(session);
    return session;
  }
  /** Runs a statement; resolves with the number of its error, or 0. Returns once the server shows it. */
  async function run(session: ClientSession, sql: string): Promise<{ end: Promise<number> }> {
    const end = session.connection.query(sql).then(
      () => 0,
      (error: unknown) => (error as { errno: number }).errno,
    );
    await until('the statement runs', async () => (await infoOf(server, session.id)) === sql);
    return { end };
  }
  async function stop(ids: readonly bigint[], query = '', expected: object[] = [], prefer = '') {
    const body = { processes: ids.map(Number), ...(expected.length > 0 && { expected }) };
    const answer = await request(service.app)
      .delete(`${processesPath()}?scope=statement${query}`)
      .set({ 'X-Auth-Token': TOKEN, Prefer: `return=representation${prefer}` })
      .send(body);
    return {
      status: answer.status,
      ...(parse(answer.text, undefined, { parseNumber: BigInt }) as Answer),
    };
  }
  const outcomes = ({ processes }: Answer) =>
    processes.map(({ id, outcome, transaction_open }) => ({ id, outcome, transaction_open }));

  it('ends the statements, and leaves sessions, transactions, locks and bystanders', async () => {
    const [inTransaction, alone, idle, bystander] = [
      await open(),
      await open(),
      await open(),
      await open(),
    ];
    await inTransaction.connection.query('START TRANSACTION');
    await inTransaction.connection.query(`UPDATE ${table} SET v = 1 WHERE n = 1`);
    const first = await run(inTransaction, 'SELECT SLEEP(600) FROM DUAL');
    const second = await run(alone, 'SELECT SLEEP(601) FROM DUAL');
    const untouched = await run(bystander, 'SELECT SLEEP(602) FROM DUAL');
    const scheduler = await internalId(server);

    const ids = [inTransaction.id, alone.id, idle.id, scheduler, 4_000_000_000n];
    const answer = await stop(ids, '', [], ', wait=30');

    expect(answer.status).toBe(200);
    expect(answer.processes_killed).toEqual([inTransaction.id, alone.id]);
    expect(answer.processes_not_found).toEqual([idle.id, scheduler, 4_000_000_000n]);
    expect(outcomes(answer)).toEqual([
      { id: inTransaction.id, outcome: 'stopped', transaction_open: true },
      { id: alone.id, outcome: 'stopped', transaction_open: false },
      { id: idle.id, outcome: 'idle', transaction_open: false },
      { id: scheduler, outcome: 'not_found' },
      { id: 4_000_000_000n, outcome: 'not_found' },
    ]);
    // MySQL answers an interrupted SLEEP with 1, MariaDB with the error.
    expect([await first.end, await second.end].every((end) => end === 1317 || end === 0)).toBe(
      true,
    );
    const [rows] = await inTransaction.connection.query<RowDataPacket[]>(
      `SELECT v FROM ${table} WHERE n = 1`,
    );
    expect(rows).toEqual([{ v: 1 }]);
    await asRoot(server, async (root) => {
      const locked = root.query(`SELECT v FROM ${table} WHERE n = 1 FOR UPDATE NOWAIT`);
      await expect(locked).rejects.toThrow(/lock/i);
    });
    await expect(idle.connection.query('SELECT 1')).resolves.toBeDefined();
    expect(await infoOf(server, bystander.id)).toBe('SELECT SLEEP(602) FROM DUAL');
    expect(opened.some((session) => session.hasEnded())).toBe(false);
    bystander.close();
    await untouched.end;
    await inTransaction.connection.query('ROLLBACK');
    expect(intents).toMatchObject([
      { scope: 'statement', sessions: [{ id: inTransaction.id }, { id: alone.id }] },
    ]);
    expect(conclusions).toMatchObject([
      { scope: 'statement', outcomes: [{ outcome: 'killed' }, { outcome: 'killed' }] },
    ]);
  });

  it('ends a statement that works with the error 1317', async () => {
    const session = await open();
    const busy = await run(session, `SELECT COUNT(*) FROM ${DIGITS.join(', ')}`);

    expect((await stop([session.id])).processes_killed).toEqual([session.id]);

    expect(await busy.end).toBe(1317);
    await expect(session.connection.query('SELECT 1')).resolves.toBeDefined();
  });

  it('ends a statement only if it begins as expected', async () => {
    const session = await open();
    const { end } = await run(session, 'SELECT SLEEP(603) FROM DUAL');

    const other = await stop([session.id], '', [
      { id: Number(session.id), info: 'SELECT SLEEP(604)' },
    ]);
    expect(outcomes(other)).toMatchObject([{ id: session.id, outcome: 'not_found' }]);
    expect(await infoOf(server, session.id)).toBe('SELECT SLEEP(603) FROM DUAL');

    const same = await stop([session.id], '', [
      { id: Number(session.id), info: 'SELECT SLEEP(603)' },
    ]);
    expect(outcomes(same)).toMatchObject([{ id: session.id, outcome: 'stopped' }]);
    await end;
  });

  it('ends nothing in a dry run', async () => {
    const session = await open();
    await run(session, 'SELECT SLEEP(605) FROM DUAL');

    const answer = await stop([session.id], '&dry_run=true');

    expect(outcomes(answer)).toEqual([{ id: session.id, outcome: 'would_kill' }]);
    expect(await infoOf(server, session.id)).toBe('SELECT SLEEP(605) FROM DUAL');
  });

  it('never ends the next statement of a session', async () => {
    const session = await open();
    const { end } = await run(session, 'SELECT SLEEP(606) FROM DUAL');
    let next: Promise<unknown> | undefined;
    meanwhile = async () => {
      await asRoot(server, (root) => root.query(`KILL QUERY ${session.id}`));
      await end;
      next = session.connection.query('SELECT SLEEP(2) AS slept').then(([rows]) => rows);
      await until(
        'the next statement runs',
        async () => (await infoOf(server, session.id)) === 'SELECT SLEEP(2) AS slept',
      );
    };

    const answer = await stop([session.id]);

    expect(answer.processes_killed).toEqual([]);
    expect(JSON.stringify(await next)).toMatch(/^\[\{"slept":"?0"?\}\]$/);
  });

  it('ends no statement of a session that has become idle', async () => {
    const session = await open();
    const { end } = await run(session, 'SELECT SLEEP(607) FROM DUAL');
    meanwhile = async () => {
      await asRoot(server, (root) => root.query(`KILL QUERY ${session.id}`));
      await end;
      await until('the session rests', async () => (await infoOf(server, session.id)) === null);
      // Longer than the service relies on an earlier reading.
      await asRoot(server, (root) => root.query('SELECT SLEEP(0.3)'));
    };

    const answer = await stop([session.id]);

    expect(outcomes(answer)).toEqual([
      { id: session.id, outcome: 'idle', transaction_open: false },
    ]);
    await expect(session.connection.query('SELECT SLEEP(0.1)')).resolves.toBeDefined();
  });

  it('ends a procedure between two of its statements, or advises the end of the session', async () => {
    const procedure = `${server.app.user}.work_${suffix}`;
    await asRoot(server, (root) =>
      root.query(
        // On MySQL an interrupted SLEEP has a result, and its procedure goes on.
        `CREATE PROCEDURE ${procedure}() WHILE TRUE DO SELECT COUNT(*) INTO @one ${MILLION}; SELECT COUNT(*) INTO @two ${MILLION}; END WHILE`,
      ),
    );
    const session = await open();
    const end = session.connection.query(`CALL ${procedure}()`).then(
      () => 0,
      (error: unknown) => (error as { errno: number }).errno,
    );
    // Older than the statements that two readings can confuse.
    await until('it has begun', async () => /COUNT/.test(String(await infoOf(server, session.id))));
    await asRoot(server, (root) => root.query('SELECT SLEEP(2)'));
    meanwhile = async () => {
      const before = await infoOf(server, session.id);
      await until('it runs another one', async () => (await infoOf(server, session.id)) !== before);
    };

    const answer = await stop([session.id]);

    if (answer.status === 500) {
      // Between the readings, it ran its next statement, or only its text is known.
      expect(answer.error_msg).toContain('it runs a routine; end the session');
      session.close();
    } else {
      expect(answer.processes_killed).toEqual([session.id]);
      expect(await end).toBe(1317);
      await expect(session.connection.query('SELECT 1')).resolves.toBeDefined();
    }
    await asRoot(server, (root) => root.query(`DROP PROCEDURE ${procedure}`));
  });
});

interface Answer {
  readonly processes_killed: readonly bigint[];
  readonly processes_not_found: readonly bigint[];
  readonly error_msg?: string;
  readonly processes: readonly { id: bigint; outcome: string; transaction_open?: boolean }[];
}

/** Ten billion rows, too many to count. */
const DIGITS = Array.from(
  'abcdefghij',
  (name) =>
    `(SELECT 0 n ${Array.from({ length: 9 }, (_, n) => `UNION ALL SELECT ${n + 1}`).join(' ')}) ${name}`,
);

/** A million rows, counted in a moment. */
const MILLION = `FROM ${DIGITS.slice(0, 6).join(', ')}`;

async function infoOf(server: Server, id: bigint): Promise<unknown> {
  return asRoot(server, async (root) => {
    const [rows] = await root.query<RowDataPacket[]>('SHOW FULL PROCESSLIST');
    return rows.find((row) => row['Id'] === id.toString())?.['Info'] as unknown;
  });
}

async function internalId(server: Server): Promise<bigint> {
  const rows = await processList(server);
  return BigInt(String(rows.find((row) => row['User'] === 'event_scheduler')?.['Id']));
}
