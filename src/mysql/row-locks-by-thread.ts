import type { Sentence } from '../errors.ts';
import { askForLocks, askIfAllowed, type LockTarget, type Rows } from './lock-statement.ts';
import type { TransactionRow } from './lock-transactions.ts';
import {
  GRANTED_TABLES,
  isSlowVersion,
  PAIRS,
  rowWaitsOf,
  type RowReading,
} from './mysql-row-locks.ts';
import { idOf } from './metadata-locks.ts';

/**
 * Reads the row waits of MySQL without `innodb_trx`, which MySQL fails to show beside some statements. The times of the waits are missing.
 * Returns the given reason for an old version: nobody knows whether its lock tables are too large to read.
 * Throws `node_unavailable` past the deadline, or the driver's error if the connection breaks.
 */
export async function readRowWaitsByThread(
  target: LockTarget,
  reason: Sentence,
): Promise<RowReading> {
  const none = { rowWaits: [], threadIds: new Map<bigint, bigint>() };
  if (!(await doesOneWait(target))) return { ...none, source: 'available' };
  const version = await askIfAllowed(target, 'SELECT VERSION()');
  if (isSlowVersion(String(version?.[0]?.[0]))) return { ...none, source: reason };
  const requested = await askForLocks(target, REQUESTED, GRANTED_TABLES);
  if (!isRows(requested)) return { ...none, source: requested };
  if (requested.length === 0) return { ...none, source: 'available' };
  const ids = requested.map(([lockId]) => `'${String(lockId)}'`).join(', ');
  const pairs = await askForLocks(
    target,
    `${PAIRS} BLOCKING_ENGINE_LOCK_ID NOT IN (${ids})`,
    GRANTED_TABLES,
  );
  if (!isRows(pairs)) return { ...none, source: pairs };
  if (pairs.length === 0) return { ...none, source: 'available' };
  const owners = await askForLocks(target, ownersOf(pairs), [
    ...GRANTED_TABLES,
    'performance_schema.threads',
  ]);
  if (!isRows(owners)) return { ...none, source: owners };
  const reading = await rowWaitsOf(target, owners.map(transactionOf), pairs);
  return { ...reading, source: 'available' };
}

/** Returns true if the server counts a session that waits for a row lock. Throws `node_unavailable` past the deadline, or the driver's error. */
export async function doesOneWait(target: LockTarget): Promise<boolean> {
  const rows = await askIfAllowed(target, WAITING);
  return rows?.[0] !== undefined && String(rows[0][1]) !== '0';
}

const WAITING = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'";
const REQUESTED =
  'SELECT DISTINCT REQUESTING_ENGINE_LOCK_ID FROM performance_schema.data_lock_waits';

/** A row lock can show the thread of a waiter in place of its holder's (MySQL 9.7, measured). A table lock shows its own. */
function ownersOf(pairs: readonly (readonly unknown[])[]): string {
  const ids = new Set(pairs.flatMap(([waiter, , holder]) => [String(waiter), String(holder)]));
  return `SELECT DISTINCT l.ENGINE_TRANSACTION_ID, l.THREAD_ID, t.PROCESSLIST_ID FROM performance_schema.data_locks l
    JOIN performance_schema.threads t ON t.THREAD_ID = l.THREAD_ID
    WHERE l.ENGINE_TRANSACTION_ID IN (${[...ids].join(', ')}) AND l.LOCK_TYPE = 'TABLE'`;
}

function transactionOf([trxId, thread, session]: readonly unknown[]): TransactionRow {
  const id = idOf(session);
  return {
    trxId: String(trxId),
    owner: id === undefined ? { kind: 'thread', id: String(thread) } : { kind: 'session', id },
    requestedLockId: undefined,
    transaction: {
      ...{ state: '', seconds: 0n, rowsLocked: 0n, rowsModified: 0n, waitSeconds: undefined },
    },
  };
}

function isRows(answer: Awaited<ReturnType<typeof askForLocks>>): answer is Rows {
  return Array.isArray(answer);
}
