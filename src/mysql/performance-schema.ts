import { isAtRest } from '../domain/user-sessions.ts';
import { isServerThread, servesClient } from '../domain/internal-names.ts';
import type { Node, ProcessList } from '../domain/node.ts';
import { clientPort, type ProcessListRow, type ServerThread } from '../domain/session.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { ListedThread } from './driver/list-rows.ts';
import type { ServerIdentity } from './identity.ts';
import { isTableUnreadable, serverErrorNumber } from './server-errors.ts';

type Table = 'threads' | 'processlist';

/** For at least this many ids, a read of the whole table is as fast as a look-up by id (MySQL 9.7, measured). */
const MANY_IDS = 50;
/** The cache drops ended sessions once it has this many entries more than the list has rows. */
const MAX_STALE = 1000;
/** With fewer rows, SHOW PROCESSLIST is as fast. */
const LONG_LIST = 500;
/** A read of one id takes as long as a list of this many rows (MySQL 9.7, measured). */
const ROWS_AN_ID = 16;
/** The pause after a failed read, in milliseconds. In this time a GRANT can have made the table readable, also on open connections. */
const RETRY_AFTER_MS = 60_000;

/**
 * Reads `performance_schema` over one connection: the server threads behind a process list, and single rows of the list. The node may lack
 * its tables, or the control account may be unable to read them.
 */
export class PerformanceSchema {
  readonly #connection: DriverConnection;
  readonly #ownId: string;
  readonly #node: Node;
  readonly #now: () => number;
  /** The time of the next read of each table, in monotonic milliseconds. */
  readonly #readableFrom: Record<Table, number>;
  /**
   * The cached threads, by the decimal id of the session. A thread keeps its kind, and an incarnation gives each id once. The account of
   * a client's thread can change (COM_CHANGE_USER), so a busy session's thread is read again. An idle session of the X Protocol has no
   * thread, and the server can lose rows of the table.
   */
  readonly #threads = new Map<string, ServerThread>();
  #haveThreadsAnswered = false;

  /** `now` is a monotonic clock, in milliseconds. */
  constructor(
    connection: DriverConnection,
    { ownId, flavour }: ServerIdentity,
    node: Node,
    now = () => performance.now(),
  ) {
    [this.#connection, this.#ownId, this.#node] = [connection, ownId.toString(), node];
    this.#now = now;
    this.#readableFrom = {
      threads: flavour === 'tidb' ? Infinity : -Infinity,
      // On other servers it does not exist, or it is slower than the whole list.
      processlist: flavour === 'mysql' ? -Infinity : Infinity,
    };
  }

  /** Adds to each row of a whole process list its thread, if the node shows it. Throws the driver's error if the connection breaks. */
  async addThreads(rows: readonly ListedThread[]): Promise<void> {
    if (!this.#isReadable('threads')) return;
    if (this.#threads.size > rows.length + MAX_STALE) this.#forgetAllBut(rows);
    const unknown: ListedThread[] = [];
    for (const row of rows) {
      row.thread = row.id === null ? undefined : this.#threads.get(row.id);
      const { thread } = row;
      const isKnown = thread !== undefined && (isServerThread(thread.name) || isAtRest(row));
      if (!isKnown && isId(row.id) && row.id !== this.#ownId) unknown.push(row);
    }
    if (unknown.length === 0) return;
    const threads = await this.#readThreads(unknown.map(({ id }) => id ?? ''));
    for (const row of unknown) {
      row.thread = threads.get(row.id ?? '') ?? row.thread;
      const { id, thread } = row;
      if (id === null || thread === undefined) continue;
      // Any other thread can belong to a session that is logging in.
      if (servesClient(thread) || isServerThread(thread.name)) this.#threads.set(id, thread);
    }
  }

  async #readThreads(ids: readonly string[]): Promise<ReadonlyMap<string, ServerThread>> {
    const isWhole = ids.length >= MANY_IDS || !this.#haveThreadsAnswered;
    const wanted = isWhole ? 'IS NOT NULL' : `IN (${ids.join(', ')})`;
    const rows = await this.#read('threads', `${SELECT_THREADS} ${wanted}`);
    if (rows === undefined) return new Map();
    // Without the performance schema the table is empty. With it, the table has at least our own thread.
    if (isWhole && rows.length === 0) this.#pause('threads');
    this.#haveThreadsAnswered = true;
    return new Map(
      rows.map(([id, name, ...more]) => [String(id), threadOf(String(name), ...more)] as const),
    );
  }

  #forgetAllBut(rows: readonly ListedThread[]): void {
    const listed = new Set(rows.map(({ id }) => id));
    for (const id of this.#threads.keys()) {
      if (!listed.has(id)) this.#threads.delete(id);
    }
  }

  /** Returns true if `readPart` can read this number of ids, and is quicker than a list that had this number of rows. */
  isQuickerFor(ids: number, rows: number): boolean {
    return this.#isReadable('processlist') && rows >= LONG_LIST && ids * ROWS_AN_ID <= rows;
  }

  /**
   * Returns the rows of the process list with these ids and our own, each with its thread. Returns undefined if the node does not show each
   * of them, or does not show for each whether it is a client. Then the whole list decides. Throws the driver's error if the connection
   * breaks.
   */
  async readPart(ids: ReadonlySet<bigint>): Promise<ProcessList | undefined> {
    const askedAt = performance.now();
    const own = this.#ownId;
    const wanted = new Set([own, ...[...ids].map((id) => id.toString())]);
    // For each id, the server searches all its threads in each of the two tables. The NULL saves one search: our own thread is known.
    const sql = `${SELECT_PART} IF(p.ID = ${own}, NULL, p.ID) WHERE p.ID IN (${[...wanted].join(', ')})`;
    const found = (await this.#read('processlist', sql))?.map(rowOf);
    if (found === undefined || !this.#isOwn(found.find(({ id }) => id === own))) return undefined;
    const areDecided = found.every(
      (row) => wanted.delete(row.id ?? '') && (row.id === own || isDecided(row)),
    );
    return areDecided && wanted.size === 0 ? { rows: found, askedAt, isPart: true } : undefined;
  }

  #isOwn(row: ProcessListRow | undefined): boolean {
    if (row?.user?.toLowerCase() !== this.#node.user.toLowerCase()) return false;
    return row.info === null || SELECT_PART.startsWith(row.info);
  }

  #isReadable(table: Table): boolean {
    return this.#now() >= this.#readableFrom[table];
  }

  #pause(table: Table): void {
    this.#readableFrom[table] = this.#now() + RETRY_AFTER_MS;
  }

  /** Returns undefined if the server answers with an error. */
  async #read(table: Table, sql: string): Promise<readonly (readonly unknown[])[] | undefined> {
    try {
      return (await this.#connection.query(sql, this.#node.listTimeoutMs, Infinity)).rows;
    } catch (error) {
      if (serverErrorNumber(error) === undefined) throw error;
      // The whole list replaces a part after any error. Nothing replaces the threads, so only a lasting error pauses their reads.
      if (table === 'processlist' || isTableUnreadable(error)) this.#pause(table);
      return undefined;
    }
  }
}

const SELECT_THREADS =
  'SELECT PROCESSLIST_ID, NAME, CONNECTION_TYPE, PROCESSLIST_USER FROM performance_schema.threads WHERE PROCESSLIST_ID';
const SELECT_PART =
  'SELECT p.ID, p.USER, p.HOST, p.DB, p.COMMAND, p.TIME, p.STATE, LEFT(p.INFO, 100) AS INFO, t.NAME, t.CONNECTION_TYPE, t.PROCESSLIST_USER ' +
  'FROM performance_schema.processlist p LEFT JOIN performance_schema.threads t ON t.PROCESSLIST_ID =';

// An X Protocol client has no port here, so the whole list decides.
function isDecided({ host, thread }: ProcessListRow): boolean {
  if (thread === undefined) return false;
  return !servesClient(thread) || clientPort(host ?? '') !== undefined;
}

function rowOf(values: readonly unknown[]): ProcessListRow {
  const texts = values.map((value) => (typeof value === 'string' ? value : null));
  const [id = null, user = null, host = null, db = null, command = null, ...more] = texts;
  const [time = null, state = null, info = null, name = null, ...ofThread] = more;
  const thread = name === null ? undefined : threadOf(name, ...ofThread);
  return { id, user, host, db, command, time, state, info, thread };
}

function threadOf(name: string, connectionType?: unknown, loginUser?: unknown): ServerThread {
  const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return { name, connectionType: textOf(connectionType), loginUser: textOf(loginUser) };
}

function isId(id: string | null): id is string {
  return id !== null && /^[1-9]\d{0,19}$/.test(id);
}
