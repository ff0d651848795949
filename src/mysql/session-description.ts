import type { SessionDescription } from '../domain/node.ts';
import type { Session } from '../domain/session.ts';
import type { Sentence } from '../errors.ts';
import { ask, askForLocks, askIfAllowed, type LockTarget } from './lock-statement.ts';

/** A server keeps at most this many bytes of a statement in `information_schema.PROCESSLIST` (measured on MySQL 9.7 and MariaDB 10.11). */
const LONGEST_STATEMENT = 65_535;
/** The same limit of `performance_schema.threads`. */
const LONGEST_IN_THREADS = 1024;
/** The same limit of SHOW PROCESSLIST. */
const LONGEST_IN_LIST = 100;
/** A server that cuts within a character drops at most this many bytes of it. */
const DROPPED = 3;

/**
 * Returns a listed session with its whole statement and the attributes of its connection; undefined if the session has left. If the server
 * shows no more than the list, `session` is returned as it was listed.
 * Throws `node_unavailable` past the deadline, or the driver's error if the connection breaks.
 */
export async function readDescription(
  target: LockTarget,
  session: Session,
): Promise<SessionDescription | undefined> {
  const described = await readStatement(target, session);
  return described && { ...described, attributes: await readAttributes(target, session) };
}

type Described = Omit<SessionDescription, 'attributes'>;

async function readStatement(target: LockTarget, session: Session): Promise<Described | undefined> {
  const where = session.id.toString();
  // MariaDB shows a question mark in INFO for each character that its utf8mb3 lacks.
  const info = target.identity.flavour === 'mariadb' ? 'INFO_BINARY' : 'INFO';
  const rows = await askIfAllowed(
    target,
    `SELECT DB, COMMAND, TIME, STATE, ${info} FROM information_schema.PROCESSLIST WHERE ID = ${where}`,
  );
  if (rows !== undefined) return rows[0] && describedBy(rows[0], session, LONGEST_STATEMENT);
  // MySQL 9.7 fails the whole query if any session runs a statement with a character of four bytes (error 3854, measured).
  const threads = await askIfAllowed(
    target,
    `SELECT PROCESSLIST_DB, PROCESSLIST_COMMAND, PROCESSLIST_TIME, PROCESSLIST_STATE, PROCESSLIST_INFO
      FROM performance_schema.threads WHERE PROCESSLIST_ID = ${where}`,
  );
  const [row] = threads ?? [];
  if (row !== undefined) return describedBy(row, session, LONGEST_IN_THREADS);
  return { session, isInfoTruncated: isCut(Buffer.byteLength(session.info), LONGEST_IN_LIST) };
}

function describedBy(row: readonly unknown[], session: Session, longest: number): Described {
  const [db, command, time, state, info] = row;
  const bytes = Buffer.isBuffer(info) ? info : Buffer.from(textOf(info));
  // With `stream`, the decoder leaves out a character whose last bytes are cut off.
  const kept = new TextDecoder().decode(bytes.subarray(0, longest), { stream: true });
  return {
    // The list has proved the account and the host. Inside a DEFINER routine the server shows others.
    session: {
      ...session,
      db: textOf(db),
      command: textOf(command),
      time: /^\d+$/.test(String(time)) ? BigInt(String(time)) : 0n,
      state: textOf(state),
      info: kept,
    },
    isInfoTruncated: isCut(bytes.length, longest),
  };
}

/** Returns true if the server can have cut a text of this length. */
function isCut(bytes: number, longest: number): boolean {
  return bytes > longest - DROPPED;
}

async function readAttributes(
  target: LockTarget,
  { id }: Session,
): Promise<SessionDescription['attributes']> {
  const rows = await askForLocks(
    target,
    `SELECT ATTR_NAME, ATTR_VALUE FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID = ${id.toString()} ORDER BY ORDINAL_POSITION`,
    ['performance_schema.session_connect_attrs'],
  );
  const isMissing = !Array.isArray(rows) || rows.length === 0;
  if (isMissing && String((await ask(target, IS_ON))[0]?.[0]) === '0') return IS_OFF;
  if (!Array.isArray(rows)) return rows as Sentence;
  return new Map(
    (rows as unknown[][]).map(([name, value]) => [textOf(name), textOf(value)] as const),
  );
}

const IS_ON = 'SELECT @@performance_schema';

/** Without the performance schema its tables are empty. */
export const IS_OFF: Sentence = {
  'en-us':
    'The performance schema of the node is off. Set performance_schema = ON in the configuration of the node, and restart it.',
  'zh-cn': '节点的performance schema已关闭。请在其配置中设置performance_schema = ON并重启节点。',
};

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
