import type { Node, ProcessList } from '../domain/node.ts';
import type { ProcessListRow } from '../domain/session.ts';
import type { Connected } from './connected.ts';
import type { ServerIdentity } from './identity.ts';
import { serverErrorNumber } from './server-errors.ts';

/** Below so many rows SHOW PROCESSLIST takes no longer. */
const LONG_LIST = 500;
/** Looking up one id takes as long as listing so many rows (MySQL 9.7, measured). */
const ROWS_AN_ID = 16;

/**
 * Looks single sessions up in what MySQL's `performance_schema` has of the process list, by its primary key, with the second opinion that
 * `threads` has of each.
 */
export class LookUp {
  readonly #connected: Connected;
  readonly #ownId: bigint;
  readonly #node: Node;
  #isDenied: boolean;
  /** What the threads of clients are called, which is known from our own. */
  #clientThread: string | undefined;

  constructor(connected: Connected, { ownId, flavour }: ServerIdentity, node: Node) {
    [this.#connected, this.#ownId, this.#node] = [connected, ownId, node];
    // Elsewhere it does not exist, or is slower than the whole list.
    this.#isDenied = flavour !== 'mysql';
  }

  /** Whether it can be asked, and looking up so many ids is quicker than reading a list that had so many rows. */
  isWorthwhile(ids: number, rows: number): boolean {
    return !this.#isDenied && rows >= LONG_LIST && ids * ROWS_AN_ID <= rows;
  }

  /**
   * The part of the process list that has these ids and our own. Undefined when not all of them are shown, since rows can be missing, or when
   * it cannot be asked: then only the whole list can tell. Throws the driver's error when the line is in trouble.
   */
  async read(ids: ReadonlySet<bigint>): Promise<ProcessList | undefined> {
    const askedAt = performance.now();
    const own = this.#ownId.toString();
    const wanted = new Set([own, ...[...ids].map((id) => id.toString())]);
    // For each id the server walks over all its threads in each of the two, and what our own thread is called stays the same.
    const opined = this.#clientThread === undefined ? 'p.ID' : `IF(p.ID = ${own}, NULL, p.ID)`;
    const sql = `${SELECT} ${opined} WHERE p.ID IN (${[...wanted].join(', ')})`;
    try {
      const { rows } = await this.#connected.query(sql, this.#node.listTimeoutMs, Infinity);
      const found = rows.map(seenIn);
      const me = found.find(({ row: { id } }) => id === own);
      if (!this.#isThisStatement(me?.row)) return undefined;
      if (me?.line != null) this.#clientThread = me.name ?? undefined;
      const name = this.#clientThread;
      const areShown = found.every(
        (seen) => wanted.delete(seen.row.id ?? '') && (seen === me || seen.name !== null),
      );
      if (name === undefined || !areShown || wanted.size > 0) return undefined;
      const judged = found.map((seen) => ({
        ...seen.row,
        isClient: seen === me || (seen.name === name && seen.line !== null),
      }));
      return { rows: judged, askedAt, isPart: true };
    } catch (error) {
      if (serverErrorNumber(error) === undefined) throw error;
      this.#isDenied = true;
      return undefined;
    }
  }

  #isThisStatement(row: ProcessListRow | undefined): boolean {
    if (row?.user?.toLowerCase() !== this.#node.user.toLowerCase()) return false;
    return row.info === null || SELECT.startsWith(row.info);
  }
}

const SELECT =
  'SELECT p.ID, p.USER, p.HOST, p.DB, p.COMMAND, p.TIME, p.STATE, LEFT(p.INFO, 100) AS INFO, t.NAME, t.CONNECTION_TYPE ' +
  'FROM performance_schema.processlist p LEFT JOIN performance_schema.threads t ON t.PROCESSLIST_ID =';

/** A session, the name of its thread, and by what kind of line its client has come. */
interface Seen {
  readonly row: ProcessListRow;
  readonly name: string | null;
  readonly line: string | null;
}

function seenIn(values: readonly unknown[]): Seen {
  const texts = values.map((value) => (typeof value === 'string' ? value : null));
  const [id = null, user = null, host = null, db = null, command = null, ...more] = texts;
  const [time = null, state = null, info = null, name = null, line = null] = more;
  return { row: { id, user, host, db, command, time, state, info }, name, line };
}
