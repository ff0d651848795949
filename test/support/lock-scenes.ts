import type { RowDataPacket } from 'mysql2/promise';
import { isLockWaitState } from '../../src/domain/locks.ts';
import { openSession, type ClientSession } from './client-session.ts';
import { asRoot, processList, type Server } from './server.ts';
import { until } from './until.ts';

/** A statement that waits for a lock when its scene begins. */
export interface WaitingStatement {
  readonly id: bigint;
  /** Resolves to undefined if the statement succeeds, else to its error. Never rejects. */
  readonly ended: Promise<unknown>;
}

/** Sessions that wait for each other, on tables of their own. */
export class LockStage {
  readonly server: Server;
  /** The waiting statements, in the order of their start. */
  readonly waiting: WaitingStatement[] = [];
  readonly #opened: ClientSession[] = [];

  constructor(server: Server) {
    this.server = server;
  }

  /** Creates the tables: `t` with the rows 1 to 9 and 20, `parent` with the row 1, and its `child`. */
  async prepare(): Promise<void> {
    const db = this.server.app.user;
    await asRoot(this.server, async (root) => {
      await root.query(`USE ${db}`);
      await root.query('DROP TABLE IF EXISTS child, parent, t');
      await root.query('CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE = InnoDB');
      await root.query(
        'INSERT INTO t VALUES (1,0),(2,0),(3,0),(4,0),(5,0),(6,0),(7,0),(8,0),(9,0),(20,0)',
      );
      await root.query('CREATE TABLE parent (id INT PRIMARY KEY) ENGINE = InnoDB');
      await root.query('INSERT INTO parent VALUES (1)');
      await root.query(
        'CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id)) ENGINE = InnoDB',
      );
    });
  }

  /** Opens a session that completes these statements, and keeps their locks. */
  async hold(...statements: readonly string[]): Promise<ClientSession> {
    return this.holdAs(this.server.app, ...statements);
  }

  /** Does the same as `hold` under another account. */
  async holdAs(account: Server['app'], ...statements: readonly string[]): Promise<ClientSession> {
    const session = await openSession(this.server, account);
    this.#opened.push(session);
    await session.connection.query(`USE ${this.server.app.user}`);
    for (const statement of statements) await session.connection.query(statement);
    return session;
  }

  /** Starts a statement, in a new session unless one is given. Resolves once the server shows that the statement waits. */
  async wait(statement: string, session?: ClientSession): Promise<ClientSession> {
    const waiter = session ?? (await this.hold());
    this.start(statement, waiter);
    await this.untilWaiting([waiter]);
    return waiter;
  }

  /** Starts a statement without waiting for a lock wait or a result. */
  start(statement: string, waiter: ClientSession): void {
    const ended = waiter.connection.query(statement).then(
      () => undefined,
      (error: unknown) => error,
    );
    this.waiting.push({ id: waiter.id, ended });
  }

  /** Resolves once the server shows that all these sessions wait for a lock. */
  async untilWaiting(sessions: readonly ClientSession[]): Promise<void> {
    const ids = sessions.map(({ id }) => id);
    // InnoDB refreshes innodb_trx only if it is read less often than every 100 ms.
    await until(`${ids.join(', ')} wait`, () => this.#doWait(ids), 60_000, 200);
  }

  /** Ends all sessions of the stage. */
  async close(): Promise<void> {
    const ids = this.#opened.map(({ id }) => id.toString());
    await asRoot(this.server, async (root) => {
      for (const id of ids) await root.query(`KILL ${id}`).catch(() => undefined);
    });
    for (const session of this.#opened.splice(0)) session.close();
    this.waiting.length = 0;
  }

  async #doWait(ids: readonly bigint[]): Promise<boolean> {
    const rows = await processList(this.server);
    const waiting = new Set(
      rows
        .filter((row) => isLockWaitState(String(row['State'])))
        .map((row) => BigInt(String(row['Id']))),
    );
    const transactions = await asRoot(this.server, async (root) => {
      const [found] = await root.query<RowDataPacket[]>(
        "SELECT trx_mysql_thread_id AS id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
      );
      return found;
    });
    for (const row of transactions) waiting.add(BigInt(String(row['id'])));
    return ids.every((id) => waiting.has(id));
  }
}

/** Builds a scene. Resolves to the sessions whose end unblocks all others. */
export type Scene = (stage: LockStage) => Promise<readonly ClientSession[]>;

const UPDATE = 'UPDATE t SET v = v + 1 WHERE id =';

/** Commits as an application would, so that this session's waiters continue. */
function commitWhenUpdated(stage: LockStage, session: ClientSession): void {
  const update = stage.waiting.find(({ id }) => id === session.id);
  void update?.ended.then(() => session.connection.query('COMMIT').catch(() => undefined));
}

/** Returns a scene of many sessions that wait for one row. With `hasLocks`, each waiter has locked another row. */
function star(count: number, { hasLocks = false } = {}): Scene {
  return async (stage) => {
    const root = await stage.hold('BEGIN', `${UPDATE} 1`);
    const waiters: ClientSession[] = [];
    while (waiters.length < count) {
      const some = Array.from({ length: Math.min(25, count - waiters.length) }, () => stage.hold());
      waiters.push(...(await Promise.all(some)));
    }
    for (const [index, waiter] of waiters.entries()) {
      if (hasLocks) {
        await waiter.connection.query('BEGIN');
        await waiter.connection.query(`INSERT INTO t VALUES (${1000 + index}, 0)`);
      }
      stage.start(`${UPDATE} 1`, waiter);
      if (hasLocks) commitWhenUpdated(stage, waiter);
    }
    await stage.untilWaiting(waiters);
    return [root];
  };
}

/** Scenes for servers that show metadata locks, by name. */
export const SCENES: Readonly<Record<string, Scene>> = {
  'a chain of three': async (stage) => {
    const root = await stage.hold('BEGIN', `${UPDATE} 1`);
    const middle = await stage.hold('BEGIN', `${UPDATE} 2`);
    await stage.wait(`${UPDATE} 1`, middle);
    await stage.wait(`${UPDATE} 2`);
    commitWhenUpdated(stage, middle);
    return [root];
  },
  'a star of 20': star(20),
  'a star of 300': star(300),
  'a star of 100 waiters with row locks of their own': star(100, { hasLocks: true }),
  'an ALTER behind an idle transaction, with SELECTs behind it': async (stage) => {
    const root = await stage.hold('BEGIN', 'SELECT * FROM t');
    await stage.wait('ALTER TABLE t ADD COLUMN w INT');
    await stage.wait('SELECT COUNT(*) FROM t');
    await stage.wait('SELECT COUNT(*) FROM t');
    return [root];
  },
  'two transactions before an ALTER': async (stage) => {
    const roots = [
      await stage.hold('BEGIN', 'SELECT * FROM t'),
      await stage.hold('BEGIN', 'SELECT * FROM t'),
    ];
    await stage.wait('ALTER TABLE t ADD COLUMN w INT');
    return roots;
  },
  'LOCK TABLES': async (stage) => {
    const root = await stage.hold('LOCK TABLES t WRITE');
    await stage.wait('SELECT * FROM t');
    return [root];
  },
  'FLUSH TABLES WITH READ LOCK': async (stage) => {
    const root = await stage.holdAs(stage.server.root, 'FLUSH TABLES WITH READ LOCK');
    await stage.wait(`${UPDATE} 1`);
    return [root];
  },
  'a COMMIT behind FLUSH TABLES WITH READ LOCK': async (stage) => {
    const writer = await stage.hold('BEGIN', `${UPDATE} 1`);
    const root = await stage.holdAs(stage.server.root, 'FLUSH TABLES WITH READ LOCK');
    await stage.wait('COMMIT', writer);
    return [root];
  },
  GET_LOCK: async (stage) => {
    const root = await stage.hold("SELECT GET_LOCK('job', 1)");
    await stage.wait("SELECT GET_LOCK('job', 600)");
    return [root];
  },
  'a foreign key': async (stage) => {
    const root = await stage.hold('BEGIN', 'DELETE FROM parent WHERE id = 1');
    await stage.wait('INSERT INTO child VALUES (1, 1)');
    return [root];
  },
  'a gap lock': async (stage) => {
    const root = await stage.hold('BEGIN', 'SELECT * FROM t WHERE id > 10 FOR UPDATE');
    await stage.wait('INSERT INTO t VALUES (15, 0)');
    return [root];
  },
  'two transactions that share a row lock': async (stage) => {
    const share = 'SELECT * FROM t WHERE id = 1 LOCK IN SHARE MODE';
    const roots = [await stage.hold('BEGIN', share), await stage.hold('BEGIN', share)];
    await stage.wait(`${UPDATE} 1`);
    await stage.wait(`${UPDATE} 1`);
    return roots;
  },
};
