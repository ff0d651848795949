import type { Node, ProcessList } from '../domain/node.ts';
import type { ProcessListRow } from '../domain/session.ts';
import { serverErrorNumber } from './server-errors.ts';
import type { Connected } from './connected.ts';

/** Below so many rows SHOW PROCESSLIST takes no longer. */
const LONG_LIST = 500;
/** Looking up one id takes as long as listing so many rows (MySQL 9.7, measured). */
const ROWS_AN_ID = 16;

/** Whether looking up so many ids is quicker than reading a list that had so many rows. */
export function isWorthwhile(ids: number, rows: number): boolean {
  return rows >= LONG_LIST && ids * ROWS_AN_ID <= rows;
}

/**
 * The part of MySQL's process list that shows these ids and our own, by its primary key, with the second opinion that `threads` has of each.
 * `incomplete` when it does not show all of them, since it can miss rows; `denied` when it cannot be asked. Then only the whole list can tell.
 * Throws the driver's error when the line is in trouble.
 */
export async function lookUp(
  connected: Connected,
  ownId: bigint,
  ids: ReadonlySet<bigint>,
  node: Node,
): Promise<ProcessList | 'incomplete' | 'denied'> {
  const askedAt = performance.now();
  const wanted = [...new Set([ownId, ...ids])].map((id) => id.toString());
  const sql = `${SELECT} (${wanted.join(', ')})`;
  try {
    const { rows: found } = await connected.query(sql, node.listTimeoutMs, Infinity);
    const rows = found.map(seenIn);
    const own = rows.find(({ row: { id } }) => id === ownId.toString());
    if (rows.length !== wanted.length || !isThisStatement(own?.row, node)) return 'incomplete';
    // What a client's thread is called is known from our own.
    if (own?.name == null || own.line === null) return 'incomplete';
    const judged = rows.map(({ row, name, line }) => ({
      ...row,
      isClient: name === own.name && line !== null,
    }));
    return { rows: judged, askedAt, isPart: true };
  } catch (error) {
    if (serverErrorNumber(error) === undefined) throw error;
    return 'denied';
  }
}

const SELECT =
  'SELECT p.ID, p.USER, p.HOST, p.DB, p.COMMAND, p.TIME, p.STATE, LEFT(p.INFO, 100) AS INFO, t.NAME, t.CONNECTION_TYPE ' +
  'FROM performance_schema.processlist p JOIN performance_schema.threads t ON t.PROCESSLIST_ID = p.ID WHERE p.ID IN';

function isThisStatement(row: ProcessListRow | undefined, node: Node): boolean {
  if (row?.user?.toLowerCase() !== node.user.toLowerCase()) return false;
  return row.info === null || SELECT.startsWith(row.info);
}

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
