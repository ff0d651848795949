import type { Node, ProcessList } from '../domain/node.ts';
import { servesClient } from '../domain/internal-names.ts';
import { clientPort, type ProcessListRow } from '../domain/session.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { ServerIdentity } from './identity.ts';
import { serverErrorNumber } from './server-errors.ts';
import { RETRY_AFTER_MS, threadOf } from './server-threads.ts';

/** Below so many rows SHOW PROCESSLIST takes no longer. */
const LONG_LIST = 500;
/** Looking up one id takes as long as listing so many rows (MySQL 9.7, measured). */
const ROWS_AN_ID = 16;

/**
 * Looks single sessions up in what MySQL's `performance_schema` has of the process list, by its primary key, with the thread of each.
 */
export class LookUp {
  readonly #connection: DriverConnection;
  readonly #ownId: string;
  readonly #node: Node;
  readonly #now: () => number;
  /** In monotonic milliseconds. */
  #readableFrom: number;

  /** `now` is a monotonic clock, in milliseconds. */
  constructor(
    connection: DriverConnection,
    { ownId, flavour }: ServerIdentity,
    node: Node,
    now = () => performance.now(),
  ) {
    [this.#connection, this.#ownId, this.#node] = [connection, ownId.toString(), node];
    this.#now = now;
    // Elsewhere it does not exist, or is slower than the whole list.
    this.#readableFrom = flavour === 'mysql' ? -Infinity : Infinity;
  }

  /** Whether it can be asked, and looking up so many ids is quicker than reading a list that had so many rows. */
  isWorthwhile(ids: number, rows: number): boolean {
    const isReadable = this.#now() >= this.#readableFrom;
    return isReadable && rows >= LONG_LIST && ids * ROWS_AN_ID <= rows;
  }

  /**
   * Returns the part of the process list that has these ids and our own. Undefined if it does not show whether each is a client's,
   * or cannot be read: then the whole list decides. Throws the driver's error if the connection breaks.
   */
  async read(ids: ReadonlySet<bigint>): Promise<ProcessList | undefined> {
    const askedAt = performance.now();
    const own = this.#ownId;
    const wanted = new Set([own, ...[...ids].map((id) => id.toString())]);
    // The server walks over all its threads for each id in each of the two tables. Our own thread is known.
    const sql = `${SELECT} IF(p.ID = ${own}, NULL, p.ID) WHERE p.ID IN (${[...wanted].join(', ')})`;
    try {
      const { rows } = await this.#connection.query(sql, this.#node.listTimeoutMs, Infinity);
      const found = rows.map(rowOf);
      if (!this.#isThisStatement(found.find(({ id }) => id === own))) return undefined;
      const areDecided = found.every(
        (row) => wanted.delete(row.id ?? '') && (row.id === own || isDecided(row)),
      );
      return areDecided && wanted.size === 0 ? { rows: found, askedAt, isPart: true } : undefined;
    } catch (error) {
      if (serverErrorNumber(error) === undefined) throw error;
      this.#readableFrom = this.#now() + RETRY_AFTER_MS;
      return undefined;
    }
  }

  #isThisStatement(row: ProcessListRow | undefined): boolean {
    if (row?.user?.toLowerCase() !== this.#node.user.toLowerCase()) return false;
    return row.info === null || SELECT.startsWith(row.info);
  }
}

const SELECT =
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
