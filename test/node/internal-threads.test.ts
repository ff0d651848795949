import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { stringify } from 'lossless-json';
import type { RowDataPacket } from 'mysql2/promise';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import {
  asRoot,
  createAccounts,
  nodeOn,
  processList,
  servers,
  type Server,
} from '../support/server.ts';
import { callsOfId, callsOfNode, idsIn, type Called } from '../support/every-call.ts';
import { blockersOf, lockWaitOf, withService } from '../support/look-at-locks.ts';
import { createService, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? describe : describe.skip)(`internal threads of ${flavour} ${version}`, () => {
    testInternalThreads(flavour);
  });
}

function testInternalThreads(flavour: Server['flavour']): void {
  // The test starts its own servers: a shared one may lack a binary log, and must not get a replica.
  let source: Server;
  let replica: Server;
  let replicaNode: OwnServer;
  const stops: (() => Promise<void>)[] = [];
  const opened: ClientSession[] = [];

  beforeAll(async () => {
    for (const id of ['1', '2']) {
      const node = await startServer(flavour, { arguments: [`--server-id=${id}`] });
      stops.push(() => node.stop());
      if (id === '1') source = await createAccounts(node);
      else [replicaNode, replica] = [node, await createAccounts(node)];
    }
    await replicate(source, replica);
  }, 120_000);

  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });

  afterAll(async () => {
    await Promise.all(stops.map((stop) => stop()));
  });

  /** Requests a kill of the threads and of a client, and expects that only the client dies. */
  async function expectOnlyClientDies(server: Server, internal: readonly bigint[]): Promise<void> {
    const service = createService({ registry: [nodeOn(server)] });
    const client = await openSession(server);
    opened.push(client);

    const answer = await service.kill([...internal, client.id]);

    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ processes_killed: [client.id], processes_not_found: internal });
    await until('the client is gone', () => client.hasEnded());
    const processes = await service.listAll();
    expect(processes.filter(({ id }) => internal.includes(id))).toEqual([]);
  }

  it('include the event scheduler and a running event worker, which survive', async () => {
    await asRoot(source, async (root) => {
      // The replica lacks this database.
      await root.query('SET SESSION sql_log_bin = 0');
      await root.query(
        `CREATE EVENT ${source.app.user}.worker ON SCHEDULE AT CURRENT_TIMESTAMP DO DO SLEEP(600)`,
      );
    });
    const isWorker = (row: RowDataPacket): boolean => String(row['State']) === 'User sleep';
    await until('the event runs', async () => (await processList(source)).some(isWorker));
    const rows = await processList(source);
    const worker = rows.find(isWorker);
    const scheduler = rows.find((row) => row['User'] === 'event_scheduler');
    // The list shows the worker under its definer and without a port, like a session.
    expect(worker).toMatchObject({ User: source.root.user, Command: 'Connect' });

    await expectOnlyClientDies(source, idsOf([worker, scheduler]));

    const after = await processList(source);
    expect(idsOf(after)).toEqual(expect.arrayContaining(idsOf([worker, scheduler])));
    expect(after.find((row) => row['Id'] === worker?.['Id'])?.['Command']).toBe('Connect');
  });

  it('include the binlog dump on the source, which survives, and replication continues', async () => {
    const isDump = (row: RowDataPacket): boolean =>
      String(row['Command']).startsWith('Binlog Dump');
    await until('the replica reads', async () => (await processList(source)).some(isDump));
    const dumps = (await processList(source)).filter(isDump);
    expect(dumps).toHaveLength(1);

    await expectOnlyClientDies(source, idsOf(dumps));

    expect((await processList(source)).filter(isDump).map((row) => row['Id'] as unknown)).toEqual(
      dumps.map((row) => row['Id'] as unknown),
    );
    await expectReplication(source, replica, 'after_dump');
  });

  it("include the replica's own threads, which survive, and replication continues", async () => {
    const isReplicas = (row: RowDataPacket): boolean => row['User'] === 'system user';
    const threads = (await processList(replica)).filter(isReplicas);
    expect(threads.length).toBeGreaterThanOrEqual(2);

    await expectOnlyClientDies(replica, idsOf(threads));

    const after = (await processList(replica)).filter(isReplicas);
    expect(idsOf(after)).toEqual(idsOf(threads));
    expect(after.filter((row) => row['Command'] === 'Killed')).toEqual([]);
    await expectReplication(source, replica, 'after_threads');
  });

  it('shows an applier that blocks a session without its fields, and not its own wait', async () => {
    // Accounts of its own: other tests need a control account with fewer grants.
    const server = await createAccounts(replicaNode);
    await asRoot(replica, async (root) => {
      const tables = ['data_lock_waits', 'data_locks', 'metadata_locks', 'threads'];
      for (const table of flavour === 'mysql' ? tables : []) {
        const name = `performance_schema.${table}`;
        await root.query(`GRANT SELECT ON ${name} TO '${server.control.user}'@'%'`);
      }
    });
    await asRoot(source, async (root) => {
      await root.query('CREATE DATABASE locks');
      await root.query('CREATE TABLE locks.t (id INT PRIMARY KEY, v INT) ENGINE = InnoDB');
      await root.query('INSERT INTO locks.t VALUES (1, 0), (2, 0), (3, 0)');
    });
    await expectReplication(source, replica, 'after_locks');
    await asRoot(replica, async (root) => {
      await root.query(`GRANT ALL ON locks.* TO '${server.app.user}'@'%'`);
      // Only the replica has it: its applier holds row 3 for long, and waits for nobody.
      await root.query(
        'CREATE TRIGGER locks.slow BEFORE UPDATE ON locks.t FOR EACH ROW BEGIN IF NEW.id = 3 THEN DO SLEEP(600); END IF; END',
      );
    });
    const [holder, waiter, another] = [
      await openSession(server),
      await openSession(server),
      await openSession(server),
    ];
    opened.push(holder, waiter, another);
    const lock = (session: ClientSession, row: number): Promise<unknown> =>
      session.connection.query(`SELECT * FROM locks.t WHERE id = ${row} FOR UPDATE`);
    const ids = [holder.id, waiter.id, another.id];

    // The applier holds row 1, for which a client waits. It waits for row 2, which another client holds.
    await holder.connection.query('BEGIN');
    await lock(holder, 2);
    await write(['UPDATE locks.t SET v = 1 WHERE id = 1', 'UPDATE locks.t SET v = 1 WHERE id = 2']);
    await untilWaiting(replica, 1);
    const sources = { row: 'available', metadata: 'available' };
    await withService(nodeOn(server), async (service) => {
      expect(await blockersOf(service)).toEqual({ blockers: [], waits: [], sources });
      expect((await lockWaitOf(service, holder.id)).body).toEqual({});
      await expectNothingLearnt(service, ids, { blocked: 0n, open: 1n });
    });
    // Without the grants, no source may show that only the applier waits.
    await withService(nodeOn(replica), async (service) => {
      expect(await blockersOf(service)).toEqual({ blockers: [], waits: [], sources });
      const { body } = await service.get(`/processes/${holder.id}`);
      expect(body).toMatchObject({ waits_for: [], blocks: [], sources });
    });
    const got = lock(waiter, 1);
    await untilWaiting(replica, 2);
    await withService(nodeOn(server), async (service) => {
      const { blockers, waits } = await blockersOf(service);
      expect(blockers).toMatchObject([
        { id: holder.id, is_root: true, waiters: 1n, direct_waiters: 0n, can_be_killed: true },
        { id: null, is_root: false },
      ]);
      expect(blockers[1]).toEqual(internalBlocker(false));
      expect(waits).toMatchObject([{ id: waiter.id, waits_for: null, kind: 'row', table: 't' }]);
      const { body } = await lockWaitOf(service, waiter.id);
      expect(causeIn(body)).toMatchObject({ locked_pid: waiter.id, blocker_pid: holder.id });
      expect((await lockWaitOf(service, holder.id)).body).toEqual({});
      await expectNothingLearnt(service, ids, { blocked: 1n, open: 2n });
    });
    await holder.connection.query('ROLLBACK');
    await got;

    // The applier holds row 3, and waits for nobody.
    await write(['UPDATE locks.t SET v = 1 WHERE id = 3']);
    await until('the trigger runs', async () =>
      (await processList(replica)).some((row) => row['State'] === 'User sleep'),
    );
    lock(another, 3).catch(() => undefined);
    await untilWaiting(replica, 1);
    await withService(nodeOn(server), async (service) => {
      const { blockers, waits } = await blockersOf(service);
      expect(blockers).toEqual([internalBlocker(true)]);
      expect(waits).toMatchObject([{ id: another.id, waits_for: null, kind: 'row', table: 't' }]);
      const cause = causeIn((await lockWaitOf(service, another.id)).body);
      expect(cause).toMatchObject({ locked_pid: another.id, lock_table: 't' });
      expect(Object.keys(cause).filter((key) => key.startsWith('blocker_'))).toEqual([]);
      await expectNothingLearnt(service, ids, { blocked: 1n, open: 1n });
    });
  });

  /** Writes one transaction on the source, as statements: for these the replica has a trigger. */
  async function write(statements: readonly string[]): Promise<void> {
    await asRoot(source, async (root) => {
      await root.query("SET SESSION binlog_format = 'STATEMENT'");
      await root.query('BEGIN');
      for (const statement of statements) await root.query(statement);
      await root.query('COMMIT');
    });
  }

  /** Makes every call: each internal thread is like an unknown id, and no response shows or counts one. */
  async function expectNothingLearnt(
    service: TestService,
    clients: readonly bigint[],
    { blocked, open }: { readonly blocked: bigint; readonly open: bigint },
  ): Promise<void> {
    const threads = (await processList(replica)).filter((row) => row['User'] === 'system user');
    expect(threads.length).toBeGreaterThanOrEqual(2);
    const internal = idsOf(threads);

    const nobody = 4_000_000_000n;
    const ofNobody = await callsOfId(service, nobody);
    expect([...ofNobody.values()].map(({ status }) => status)).toEqual([
      404, 404, 200, 200, 200, 200,
    ]);
    for (const id of internal) {
      const text = (called: ReadonlyMap<string, Called>): string => stringify([...called]) ?? '';
      const called = text(await callsOfId(service, id));
      const wanted = text(ofNobody).replaceAll(nobody.toString(), id.toString());
      expect(called).toBe(wanted);
    }

    // The services of other tests have sessions, too. Those of the test itself take a moment to leave.
    const others = (await processList(replica)).filter(
      (row) => row['User'] === replica.control.user,
    );
    const listed = [...clients, ...idsOf(others)];
    let called = await callsOfNode(service);
    const bodyOf = (name: string) => called.get(name)?.body as Record<string, unknown>;
    await until('only the clients are left', async () => {
      called = await callsOfNode(service);
      return bodyOf('summary')['total'] === BigInt(listed.length);
    });
    for (const [name, { status, body }] of called) {
      const learnt = idsIn(body).filter((id) => internal.includes(id));
      expect([name, status, learnt]).toEqual([name, 200, []]);
      expect(stringify(body)).not.toMatch(/system user|Slave|Replica|Binlog|Connect"|event_sched/i);
    }
    for (const name of ['processes?limit=100', 'processes?limit=100&with=transaction']) {
      const { processes, total_count: total } = bodyOf(name);
      expect([...idsIn(processes)].sort()).toEqual([...listed].sort());
      expect(total).toBe(BigInt(listed.length));
    }
    expect(bodyOf('summary')).toMatchObject({ blocked, transactions: { open } });
    const shown = bodyOf('blockers')['blockers'] as readonly { readonly id: bigint | null }[];
    for (const blocker of shown.filter(({ id }) => id === null)) {
      expect(blocker).toEqual(internalBlocker(expect.any(Boolean) as unknown as boolean));
    }
  }
}

/** The entry of an internal thread for which one session waits. */
function internalBlocker(isRoot: boolean): object {
  const counts = { waiters: 1n, direct_waiters: 1n };
  return { id: null, is_root: isRoot, ...counts, can_be_killed: false };
}

function causeIn(body: unknown): object {
  return (body as { abnormal_root_cause: { lock_root_cause: object } }).abnormal_root_cause
    .lock_root_cause;
}

/** Returns when this many transactions wait for row locks. */
async function untilWaiting(server: Server, count: number): Promise<void> {
  const waiting = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
  // With faster polls, the server does not renew its transactions.
  await until(
    `${count} wait`,
    async () =>
      asRoot(server, async (root) => {
        const [rows] = await root.query<RowDataPacket[]>(waiting);
        return rows.length === count;
      }),
    60_000,
    200,
  );
}

function idsOf(rows: readonly (RowDataPacket | undefined)[]): bigint[] {
  return rows.map((row) => BigInt(String(row?.['Id'])));
}

async function replicate(source: Server, replica: Server): Promise<void> {
  const { user, password } = { user: 'copier', password: 'copier-of-the-tests' };
  const position = await asRoot(source, async (root) => {
    await root.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
    await root.query(`GRANT REPLICATION SLAVE ON *.* TO '${user}'@'%'`);
    const show = source.flavour === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
    const [rows] = await root.query<RowDataPacket[]>(show);
    return rows[0];
  });
  const [file, at] = [String(position?.['File']), String(position?.['Position'])];
  await asRoot(replica, async (root) => {
    if (source.flavour === 'mysql') {
      await root.query(
        `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${source.host}', SOURCE_PORT=${source.port}, SOURCE_USER='${user}', SOURCE_PASSWORD='${password}', SOURCE_LOG_FILE='${file}', SOURCE_LOG_POS=${at}, GET_SOURCE_PUBLIC_KEY=1`,
      );
      await root.query('START REPLICA');
    } else {
      await root.query('SET GLOBAL slave_parallel_threads = 2');
      await root.query(
        `CHANGE MASTER TO MASTER_HOST='${source.host}', MASTER_PORT=${source.port}, MASTER_USER='${user}', MASTER_PASSWORD='${password}', MASTER_LOG_FILE='${file}', MASTER_LOG_POS=${at}`,
      );
      await root.query('START SLAVE');
    }
  });
  await expectReplication(source, replica, 'at_first');
}

/** Expects that a write on the source arrives on the replica. */
async function expectReplication(source: Server, replica: Server, name: string): Promise<void> {
  await asRoot(source, (root) => root.query(`CREATE DATABASE ${name}`));
  await until(`${name} arrives on the replica`, async () =>
    asRoot(replica, async (root) => {
      const [rows] = await root.query<RowDataPacket[]>(`SHOW DATABASES LIKE '${name}'`);
      return rows.length === 1;
    }),
  );
}
