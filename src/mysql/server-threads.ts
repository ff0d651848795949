import { isAtRest } from '../domain/user-sessions.ts';
import { servesClient } from '../domain/internal-names.ts';
import type { Node } from '../domain/node.ts';
import type { ServerThread } from '../domain/session.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { ServerIdentity } from './identity.ts';
import type { ListedThread } from './driver/list-rows.ts';
import { isServerError, serverErrorNumber, type ServerErrorSymbol } from './server-errors.ts';

/** From this many ids on, the whole table is read as fast as its rows are found by id (MySQL 9.7, measured). */
const MANY_IDS = 50;
/** Ids of sessions that ended are dropped once there are this many more than the list has rows. */
const MAX_STALE = 1000;
/** A view that could not be read is tried again after this time, in milliseconds: a GRANT holds on open connections too. */
export const RETRY_AFTER_MS = 60_000;

/**
 * Reads the server threads behind a process list from `performance_schema.threads`, and caches those of clients. The kind of a client's
 * thread never changes, and no id is given twice in an incarnation. Its account can change (COM_CHANGE_USER), so it is read again while the
 * session is busy. An idle session of the X Protocol has no thread, and the server can lose rows of the table.
 */
export class ServerThreads {
  readonly #connection: DriverConnection;
  readonly #ownId: string;
  readonly #node: Node;
  /** By the decimal id of its session. */
  readonly #ofClients = new Map<string, ServerThread>();
  readonly #now: () => number;
  /** In monotonic milliseconds. */
  #readableFrom: number;
  #hasAnswered = false;

  /** `now` is a monotonic clock, in milliseconds. */
  constructor(
    connection: DriverConnection,
    { ownId, flavour }: ServerIdentity,
    node: Node,
    now = () => performance.now(),
  ) {
    [this.#connection, this.#ownId, this.#node] = [connection, ownId.toString(), node];
    this.#now = now;
    this.#readableFrom = flavour === 'tidb' ? Infinity : -Infinity;
  }

  /** Adds its thread to each row of a whole process list, where the node shows one. Throws the driver's error if the connection breaks. */
  async addTo(rows: readonly ListedThread[]): Promise<void> {
    if (this.#now() < this.#readableFrom) return;
    if (this.#ofClients.size > rows.length + MAX_STALE) this.#forgetAllBut(rows);
    const unknown: ListedThread[] = [];
    for (const row of rows) {
      row.thread = row.id === null ? undefined : this.#ofClients.get(row.id);
      const isKnown = row.thread !== undefined && isAtRest(row);
      if (!isKnown && isId(row.id) && row.id !== this.#ownId) unknown.push(row);
    }
    if (unknown.length === 0) return;
    const threads = await this.#read(unknown.map(({ id }) => id ?? ''));
    for (const row of unknown) {
      row.thread = threads.get(row.id ?? '') ?? row.thread;
      if (row.id !== null && row.thread !== undefined && servesClient(row.thread)) {
        this.#ofClients.set(row.id, row.thread);
      }
    }
  }

  async #read(ids: readonly string[]): Promise<ReadonlyMap<string, ServerThread>> {
    const isWhole = ids.length >= MANY_IDS || !this.#hasAnswered;
    const wanted = isWhole ? 'IS NOT NULL' : `IN (${ids.join(', ')})`;
    const sql = `SELECT PROCESSLIST_ID, NAME, CONNECTION_TYPE, PROCESSLIST_USER FROM performance_schema.threads WHERE PROCESSLIST_ID ${wanted}`;
    try {
      const { rows } = await this.#connection.query(sql, this.#node.listTimeoutMs, Infinity);
      // Without the performance schema the table is empty: else it has at least our own thread.
      if (isWhole && rows.length === 0) this.#readableFrom = this.#now() + RETRY_AFTER_MS;
      this.#hasAnswered = true;
      return new Map(
        rows.map(([id, name, ...more]) => [String(id), threadOf(String(name), ...more)] as const),
      );
    } catch (error) {
      if (serverErrorNumber(error) === undefined) throw error;
      if (isServerError(error, ...NOT_READABLE)) {
        this.#readableFrom = this.#now() + RETRY_AFTER_MS;
      }
      return new Map();
    }
  }

  #forgetAllBut(rows: readonly ListedThread[]): void {
    const listed = new Set(rows.map(({ id }) => id));
    for (const id of this.#ofClients.keys()) if (!listed.has(id)) this.#ofClients.delete(id);
  }
}

/** Returns what a row of `performance_schema.threads` shows. */
export function threadOf(
  name: string,
  connectionType?: unknown,
  loginUser?: unknown,
): ServerThread {
  const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return { name, connectionType: textOf(connectionType), loginUser: textOf(loginUser) };
}

/** The account may not read the table or a column of it, or the server does not have it. */
const NOT_READABLE: readonly ServerErrorSymbol[] = [
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
  'ER_BAD_DB_ERROR',
  'ER_BAD_FIELD_ERROR',
  'ER_NO_SUCH_TABLE',
  'ER_PARSE_ERROR',
];

function isId(id: string | null): id is string {
  return id !== null && /^[1-9]\d{0,19}$/.test(id);
}
