import { limitReached, type Deadline } from '../domain/deadline.ts';
import type { LockSource } from '../domain/locks.ts';
import type { Node } from '../domain/node.ts';
import { NotSentError, type DriverConnection } from './driver/driver-connection.ts';
import type { ServerIdentity } from './identity.ts';
import { isServerError, serverErrorNumber } from './server-errors.ts';

/** A connection over which locks are read. */
export interface LockTarget {
  readonly connection: DriverConnection;
  readonly identity: ServerIdentity;
  readonly node: Node;
  readonly deadline: Deadline;
}

/** A query of the lock tables takes at most this time, in milliseconds: while an old server reads them, no session can take a lock. */
export const LOCK_QUERY_MS = 1500;

/** The rows of an answer. */
export type Rows = readonly (readonly unknown[])[];

/** Returns the rows; undefined if the server refuses the statement. Throws `node_unavailable` past the deadline, or the driver's error. */
export async function askIfAllowed(target: LockTarget, sql: string): Promise<Rows | undefined> {
  try {
    return await ask(target, sql);
  } catch (error) {
    if (serverErrorNumber(error) === undefined) throw error;
    return undefined;
  }
}

/**
 * Returns the rows of a query of the lock tables, or the sentence that says why there are none. The server ends the query after 1.5 s;
 * MySQL before 5.7 does not.
 * Throws `node_unavailable` past the deadline, or the driver's error if the connection breaks.
 */
export async function askForLocks(
  target: LockTarget,
  select: string,
  tables: readonly string[],
): Promise<Rows | Exclude<LockSource, 'available'>> {
  try {
    return await ask(target, limited(target.identity, select));
  } catch (error) {
    if (serverErrorNumber(error) === undefined) throw error;
    if (isServerError(error, 'ER_QUERY_TIMEOUT', 'ER_STATEMENT_TIMEOUT')) return TOO_SLOW;
    return isServerError(error, ...DENIALS) ? grantMissing(tables) : MISSING;
  }
}

/** Returns the rows. Throws `node_unavailable` past the deadline, or the driver's error. */
export async function ask({ connection, node, deadline }: LockTarget, sql: string): Promise<Rows> {
  if (deadline <= performance.now()) throw limitReached();
  try {
    return (await connection.query(sql, node.listTimeoutMs, deadline)).rows;
  } catch (error) {
    throw error instanceof NotSentError ? error.trouble : error;
  }
}

function limited({ flavour, version }: ServerIdentity, select: string): string {
  if (flavour === 'mariadb') {
    return `SET STATEMENT max_statement_time = ${LOCK_QUERY_MS / 1000} FOR ${select}`;
  }
  const hasHint = flavour === 'tidb' || version >= 507;
  return hasHint
    ? select.replace('SELECT', `SELECT /*+ MAX_EXECUTION_TIME(${LOCK_QUERY_MS}) */`)
    : select;
}

const DENIALS = [
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
] as const;

/** Returns the sentence for tables of which the control account may not read at least one. */
export function grantMissing(tables: readonly string[]): Exclude<LockSource, 'available'> {
  // `information_schema` needs no grant on a table.
  const grants =
    tables.length === 0
      ? 'GRANT PROCESS ON *.*'
      : tables.map((table) => `GRANT SELECT ON ${table}`).join(', ');
  return {
    'en-us': `The control account lacks a privilege: ${grants} TO the control account.`,
    'zh-cn': `控制账号缺少权限：请对控制账号执行${grants}。`,
  };
}

const TOO_SLOW = {
  'en-us': `The node did not return its locks within ${LOCK_QUERY_MS} ms, because too many sessions wait. End the oldest transaction, or retry later.`,
  'zh-cn': `等待的会话过多，节点未能在${LOCK_QUERY_MS}毫秒内显示。请终止最早的事务，或稍后重试。`,
};

/** The reason if the server is too old, or of another kind. */
export const MISSING = {
  'en-us': 'The server of the node lacks the tables. Upgrade the server.',
  'zh-cn': '节点的服务器缺少所需的表。请升级服务器。',
};
