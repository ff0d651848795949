import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RowDataPacket } from 'mysql2/promise';
import type { Node } from '../../src/domain/node.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { LockStage, SCENES } from '../support/lock-scenes.ts';
import { blockersOf, lockWaitOf, lookAtLocks, withService } from '../support/look-at-locks.ts';
import { asRoot, createAccounts, nodeOn, processList, servers } from '../support/server.ts';
import type { Server } from '../support/server.ts';
import type { TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

interface RootCause {
  readonly lock_root_cause: { readonly blocker_pid: bigint };
}

const TABLES = {
  mysql: ['data_lock_waits', 'data_locks', 'metadata_locks', 'threads'],
  mariadb: ['metadata_locks', 'threads'],
};
const SHOWN = [
  '--performance-schema=ON',
  '--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON',
];

const kinds = (['mariadb', 'mysql'] as const).filter((kind) =>
  servers.some(({ flavour, canHavePair }) => flavour === kind && canHavePair),
);

describe.each(kinds)('the locks of %s', (kind) => {
  let own: OwnServer;
  let server: Server;
  let stage: LockStage;
  let node: Node;

  beforeAll(async () => {
    own = await startServer(kind, { arguments: ['--max-connections=500', ...SHOWN] });
    server = await createAccounts(own);
    node = nodeOn(server);
    await asRoot(server, async (root) => {
      for (const table of TABLES[kind]) {
        await root.query(
          `GRANT SELECT ON performance_schema.${table} TO '${server.control.user}'@'%'`,
        );
      }
      if (kind === 'mariadb') return;
      // They show which sessions MySQL protects.
      for (const table of ['global_grants', 'user']) {
        await root.query(`GRANT SELECT ON mysql.${table} TO '${server.control.user}'@'%'`);
      }
    });
  });
  afterAll(() => own.stop());
  afterEach(() => stage.close());

  const set = async (): Promise<LockStage> => {
    stage = new LockStage(server);
    await stage.prepare();
    return stage;
  };
  const end = (id: bigint | null): Promise<unknown> =>
    asRoot(server, (root) => root.query(`KILL ${String(id)}`));
  const allEnded = (): Promise<unknown[]> => Promise.all(stage.waiting.map(({ ended }) => ended));

  it.each(Object.entries(SCENES))(
    'have roots that DELETE ends to free all waiters: %s',
    async (name, build) => {
      await set();
      const expected = (await build(stage)).map(({ id }) => id);
      // The root account of MySQL has SYSTEM_USER, and the control account has not.
      const isProtected = kind === 'mysql' && name.includes('FLUSH TABLES WITH READ LOCK');

      await withService(node, async (service) => {
        const { blockers, waits, sources } = await blockersOf(service);

        expect(sources).toEqual({ row: 'available', metadata: 'available' });
        const roots = blockers.filter((blocker) => blocker['is_root']);
        expect(roots.map(({ id }) => id).sort()).toEqual([...expected].sort());
        expect(roots.map((root) => root['waiters'])).toEqual(
          expected.map(() => BigInt(stage.waiting.length)),
        );
        expect(new Set(waits.map(({ id }) => id))).toEqual(
          new Set(stage.waiting.map(({ id }) => id)),
        );
        expect(waits.filter((wait) => wait['waits_for'] === wait['id'])).toEqual([]);
        if (name.startsWith('an ALTER behind')) {
          const altering = { id: stage.waiting[0]?.id, is_root: false, waiters: 2n };
          expect(blockers).toContainEqual(expect.objectContaining(altering));
        }
        for (const wait of waits.filter((each) => each['kind'] === 'row')) {
          const [db, text] = [server.app.user, expect.any(String) as unknown];
          expect(wait).toMatchObject({ db, table: text, index: text, mode: text, data: text });
        }
        for (const root of roots) expect(root['can_be_killed']).toBe(!isProtected);
        await expectRootCauses(service, expected);
        const killed = await service.kill(roots.map(({ id }) => id ?? 0n));
        if (isProtected) {
          expect(killed).toMatchObject({ status: 500, body: { processes_failed: expected } });
          for (const id of expected) await end(id);
        } else expect(killed).toMatchObject({ status: 200, body: { processes_not_found: [] } });
      });
      expect((await allEnded()).filter((error) => error !== undefined)).toEqual([]);
    },
  );

  /** Requests the cause of the waits of the first and of the last waiter. Each must be a root. */
  async function expectRootCauses(service: TestService, roots: readonly bigint[]): Promise<void> {
    for (const waiter of [stage.waiting[0], stage.waiting.at(-1)]) {
      const { status, body } = await lockWaitOf(service, waiter?.id ?? 0n);
      expect([status, body]).toMatchObject([
        200,
        {
          abnormal_root_cause: {
            abnormal_type: 'LOCK_WAIT',
            lock_root_cause: {
              locked_pid: waiter?.id,
              locked_sql: expect.any(String) as unknown,
              wait_seconds: expect.anything() as unknown,
              lock_mode: expect.any(String) as unknown,
              blocker_current_sql: [],
              blocker_command: 'Sleep',
            },
          },
        },
      ]);
      const { lock_root_cause: cause } = (body as { abnormal_root_cause: RootCause })
        .abnormal_root_cause;
      expect(roots).toContain(cause.blocker_pid);
    }
    for (const root of roots) {
      expect((await lockWaitOf(service, root)).body).toEqual({});
    }
  }

  it('have two roots in a cycle of a row lock with GET_LOCK, and either can be ended', async () => {
    await set();
    const one = await stage.hold('BEGIN', 'UPDATE t SET v = 1 WHERE id = 1');
    const other = await stage.hold("SELECT GET_LOCK('job', 1)");
    await stage.wait('UPDATE t SET v = 2 WHERE id = 1', other);
    await stage.wait("SELECT GET_LOCK('job', 600)", one);

    const { blockers, waits } = await lookAtLocks(node);

    const inCycle = { isRoot: true, waiters: 1, directWaiters: 1, canBeKilled: true };
    expect(blockers).toMatchObject([
      { id: one.id, ...inCycle },
      { id: other.id, ...inCycle },
    ]);
    expect(waits).toMatchObject([
      { id: one.id, waitsFor: other.id, kind: 'user', name: 'job' },
      { id: other.id, waitsFor: one.id, kind: 'row', db: server.app.user, table: 't', data: '1' },
    ]);
    await end(one.id);
    const [updated, asked] = await allEnded();
    expect(updated).toBeUndefined();
    expect(asked).toBeDefined();
  });

  it('have no root while a FLUSH waits for a statement that the node does not show', async () => {
    await set();
    const reader = await stage.hold();
    stage.start('SELECT SLEEP(600) FROM t', reader);
    await until('it runs', async () => (await stateOf(reader.id)) === 'User sleep');
    const flusher = await stage.holdAs(server.root);
    stage.start('FLUSH TABLES WITH READ LOCK', flusher);
    // On MariaDB, the FLUSH does not wait.
    const state = kind === 'mysql' ? 'Waiting for table flush' : '';
    await until('it has the lock', async () => (await stateOf(flusher.id)) === state);
    const writer = await stage.wait('UPDATE t SET v = 1 WHERE id = 1');

    const { blockers, sources } = await lookAtLocks(node);

    expect(blockers).toMatchObject([{ id: flusher.id, isRoot: kind === 'mariadb', waiters: 1 }]);
    if (kind === 'mysql') {
      expect(sources.metadata).toMatchObject({
        'en-us': expect.stringMatching(/^Incomplete: .*table flush/) as unknown,
      });
    } else expect(sources.metadata).toBe('available');
    if (kind === 'mysql') {
      // The end of the FLUSH would free no waiter, because the table must be closed first.
      await end(reader.id);
      await until('the FLUSH has ended', async () => (await stateOf(flusher.id)) === '');
      const next = await lookAtLocks(node);
      expect(next.blockers).toMatchObject([{ id: flusher.id, isRoot: true, waiters: 1 }]);
      expect(next.sources.metadata).toBe('available');
    }
    await end(flusher.id);
    const written = stage.waiting.find(({ id }) => id === writer.id);
    expect(await written?.ended).toBeUndefined();
  });

  it('show a prepared transaction as a root that no KILL ends', async () => {
    await set();
    const holder = await stage.hold(
      "XA START 'prepared'",
      'UPDATE t SET v = 1 WHERE id = 1',
      "XA END 'prepared'",
      "XA PREPARE 'prepared'",
    );
    try {
      const waiter = await stage.wait('UPDATE t SET v = 2 WHERE id = 1');
      if (kind === 'mariadb') {
        // MariaDB shows that a transaction is prepared only after its session has ended.
        const { blockers } = await lookAtLocks(node);
        expect(blockers).toMatchObject([{ id: holder.id, isRoot: true, isPrepared: false }]);
      }
      await end(holder.id);
      await until('the session has left', async () => (await stateOf(holder.id)) === undefined);
      const prepared = { id: null, isPrepared: true, isRoot: true, canBeKilled: false };
      let found = await lookAtLocks(node);
      await until(
        'the transaction has no session',
        async () => {
          found = await lookAtLocks(node);
          return found.blockers[0]?.id === null;
        },
        60_000,
        200,
      );
      expect(found.blockers).toMatchObject([
        { ...prepared, waiters: 1, transaction: { rowsModified: 1n } },
      ]);
      expect(found.waits).toMatchObject([{ id: waiter.id, waitsFor: null, kind: 'row' }]);
      const altering = await stage.wait('ALTER TABLE t ADD COLUMN w INT');
      const { blockers, sources } = await lookAtLocks(node);
      const [first] = blockers;
      if (kind === 'mysql') {
        expect(first).toMatchObject({ ...prepared, waiters: 2 });
        expect(blockers.every(({ isRoot, id }) => !isRoot || id === null)).toBe(true);
        expect(sources.metadata).toBe('available');
      } else {
        // MariaDB shows only the row locks of a prepared transaction.
        expect(blockers.filter(({ isRoot }) => isRoot)).toMatchObject([prepared]);
      }
      expect(altering.hasEnded()).toBe(false);
    } finally {
      await asRoot(server, (root) => root.query("XA ROLLBACK 'prepared'"));
    }
    expect((await allEnded()).filter((error) => error !== undefined)).toEqual([]);
  });

  it('are shown beside a statement with an emoji, for which MySQL shows no transactions', async () => {
    await set();
    const holder = await stage.hold('BEGIN', 'INSERT INTO t VALUES (50, 0)');
    const first = await stage.hold();
    stage.start("UPDATE t SET v = 1 WHERE id = 50 AND '😀' <> ''", first);
    const second = await stage.hold();
    stage.start('UPDATE t SET v = 2 WHERE id = 50', second);

    await withService(node, async (service) => {
      let found = await blockersOf(service);
      await until(
        'both wait',
        async () => {
          found = await blockersOf(service);
          return found.waits.length === 2;
        },
        60_000,
        500,
      );
      const { blockers, waits, sources } = found;
      expect(sources).toEqual({ row: 'available', metadata: 'available' });
      expect(blockers).toMatchObject([{ id: holder.id, is_root: true, waiters: 2n }]);
      expect(blockers[0]?.['transaction']).toEqual(
        kind === 'mysql' ? undefined : expect.objectContaining({ state: 'RUNNING' }),
      );
      const lock = { waits_for: holder.id, kind: 'row', db: server.app.user, table: 't' };
      expect(waits).toMatchObject(
        [first, second].map(({ id }) => ({ id, ...lock, index: 'PRIMARY', data: '50' })),
      );
      expect((await service.kill([holder.id])).body).toMatchObject({
        processes_killed: [holder.id],
      });
    });
    expect((await allEnded()).filter((error) => error !== undefined)).toEqual([]);
  });

  it('are not reported as absent while another reader keeps innodb_trx from being renewed', async () => {
    await set();
    let isReading = true;
    await asRoot(server, async (root) => {
      const reading = (async () => {
        while (isReading) {
          await root.query('SELECT COUNT(*) FROM information_schema.innodb_trx');
        }
      })();
      const holder = await stage.hold('BEGIN', 'UPDATE t SET v = 1 WHERE id = 1');
      const waiter = await stage.hold();
      stage.start('UPDATE t SET v = 2 WHERE id = 1', waiter);
      await withService(node, async (service) => {
        await until('it has waited for a second', async () =>
          (await processList(server)).some(
            ({ Id: id, Command: command, Time: time }) =>
              String(id) === waiter.id.toString() && command === 'Query' && Number(time) >= 1,
          ),
        );
        let found = await blockersOf(service);
        const rowSource = (): string => (found.sources as { row: string }).row;
        // On a busy machine, the node can show the moment before the wait.
        await until(
          'the node shows or counts the wait',
          async () => {
            found = await blockersOf(service);
            return found.waits.length > 0 || rowSource() !== 'available';
          },
          60_000,
          500,
        );
        const row = rowSource();
        // If the other reader is too late, on a busy machine, the node renews its transactions.
        if (kind === 'mysql' || found.waits.length > 0) {
          expect(found.blockers).toMatchObject([{ id: holder.id, is_root: true, waiters: 1n }]);
          expect(found.waits).toMatchObject([{ id: waiter.id, waits_for: holder.id }]);
        } else expect(row).toMatch(/^Unknown: .*innodb_trx/);
        isReading = false;
        await reading;
        await until(
          'the node shows the wait',
          async () => {
            found = await blockersOf(service);
            return found.blockers.some((blocker) => blocker['transaction'] !== null);
          },
          60_000,
          500,
        );
        expect(found).toMatchObject({
          blockers: [{ id: holder.id, transaction: { rows_modified: 1n } }],
          sources: { row: 'available', metadata: 'available' },
        });
      });
    });
  });

  it('name the thread of the blocker, not of the waiter that made its lock explicit', async () => {
    await set();
    const holder = await stage.hold('BEGIN', 'INSERT INTO t VALUES (50, 0)');
    const waiter = await stage.wait('UPDATE t SET v = 1 WHERE id = 50');
    const thread = await asRoot(server, async (root) => {
      const [[row]] = await root.query<RowDataPacket[]>(
        `SELECT THREAD_ID AS id FROM performance_schema.threads WHERE PROCESSLIST_ID = ${holder.id}`,
      );
      return BigInt(String(row?.['id']));
    });
    await withService(node, async (service) => {
      const { body } = await lockWaitOf(service, waiter.id);
      // MariaDB shows no threads of row locks.
      expect(body).toMatchObject({
        abnormal_root_cause: {
          lock_root_cause: {
            blocker_pid: holder.id,
            ...(kind === 'mysql' && { blocker_thread_id: thread }),
          },
        },
      });
    });
  });

  it('have the next blocker as their root once the first is gone', async () => {
    await set();
    const first = await stage.hold('BEGIN', 'UPDATE t SET v = 1 WHERE id = 1');
    const second = await stage.hold('BEGIN', 'UPDATE t SET v = 1 WHERE id = 2');
    await stage.wait('UPDATE t SET v = 2 WHERE id = 1', second);
    await stage.wait('UPDATE t SET v = 2 WHERE id = 2');
    const roots = async (): Promise<unknown[]> =>
      (await lookAtLocks(node)).blockers.filter(({ isRoot }) => isRoot).map(({ id }) => id);
    expect(await roots()).toEqual([first.id]);
    await end(first.id);
    let seen: unknown[] = [];
    await until(
      'the second one is the root',
      async () => {
        seen = await roots();
        return seen.includes(second.id);
      },
      60_000,
      200,
    );
    expect(seen).toEqual([second.id]);
    await end(second.id);
    expect((await allEnded()).filter((error) => error !== undefined)).toEqual([]);
  });

  it('name the GRANT that the control account lacks', async () => {
    await set();
    const bare = { user: 'sc_bare', password: 'sc_bare' };
    const killAny = kind === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER ${bare.user}@'%' IDENTIFIED BY '${bare.password}'`);
      await root.query(`GRANT PROCESS, ${killAny} ON *.* TO ${bare.user}@'%'`);
    });
    const idle = await stage.hold('BEGIN', 'UPDATE t SET v = 1 WHERE id = 1');
    await stage.wait('UPDATE t SET v = 2 WHERE id = 1');
    await stage.wait('ALTER TABLE t ADD COLUMN w INT');

    const { blockers, sources } = await lookAtLocks(nodeOn(server, bare));

    const lacks = (...tables: string[]) => ({
      'en-us': expect.stringContaining(
        tables.map((table) => `GRANT SELECT ON performance_schema.${table}`).join(', '),
      ) as unknown,
    });
    expect(sources.metadata).toMatchObject(lacks('metadata_locks', 'threads'));
    if (kind === 'mysql') {
      expect(sources.row).toMatchObject(lacks('data_lock_waits', 'data_locks'));
      expect(blockers).toEqual([]);
    } else {
      expect(sources.row).toBe('available');
      expect(blockers).toMatchObject([{ id: idle.id, waiters: 1 }]);
    }
  });

  async function stateOf(wanted: bigint): Promise<string | undefined> {
    const rows = await processList(server);
    const row = rows.find((each) => String(each['Id']) === wanted.toString());
    return row && String(row['State'] ?? '');
  }
});

describe.each(kinds.filter((kind) => kind === 'mariadb'))('the metadata locks of %s', (kind) => {
  const ALTER = 'ALTER TABLE t ADD COLUMN w INT';

  async function onServer(
    options: readonly string[],
    work: (stage: LockStage, node: Node) => Promise<void>,
  ): Promise<void> {
    const own = await startServer(kind, { arguments: options });
    try {
      const server = await createAccounts(own);
      const { user } = server.control;
      await asRoot(server, async (root) => {
        for (const table of TABLES[kind]) {
          await root.query(`GRANT SELECT ON performance_schema.${table} TO '${user}'@'%'`);
        }
      });
      const stage = new LockStage(server);
      await stage.prepare();
      await work(stage, nodeOn(server));
      await stage.close();
    } finally {
      await own.stop();
    }
  }

  it('are not shown without the performance schema, unlike row locks', async () => {
    await onServer([], async (stage, node) => {
      const root = await stage.hold('BEGIN', 'UPDATE t SET v = 1 WHERE id = 1');
      await stage.wait('UPDATE t SET v = 2 WHERE id = 1');
      await stage.wait(ALTER);
      const { blockers, sources } = await lookAtLocks(node);
      expect(sources).toMatchObject({
        row: 'available',
        metadata: { 'en-us': expect.stringContaining('performance_schema = ON') as unknown },
      });
      expect(blockers).toMatchObject([{ id: root.id, isRoot: true, waiters: 1 }]);
    });
  });

  it('have no root if they are older than their instrument', async () => {
    await onServer(['--performance-schema=ON'], async (stage, node) => {
      await stage.hold('BEGIN', 'SELECT * FROM t');
      await stage.wait(ALTER);
      const off = await lookAtLocks(node);
      expect(off.sources.metadata).toMatchObject({
        'en-us': expect.stringContaining('wait/lock/metadata/sql/mdl') as unknown,
      });
      await asRoot(stage.server, (root) =>
        root.query(
          "UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' WHERE NAME = 'wait/lock/metadata/sql/mdl'",
        ),
      );
      await stage.wait('SELECT * FROM t');
      const { blockers, sources } = await lookAtLocks(node);
      expect(blockers).toEqual([]);
      expect(sources.metadata).toMatchObject({
        'en-us': expect.stringMatching(/^Incomplete/) as unknown,
      });
    });
  });
});
