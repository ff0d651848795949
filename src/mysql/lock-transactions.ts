import type { LockOwner, LockTransaction } from '../domain/locks.ts';
import type { TransactionState } from '../domain/node.ts';
import { askIfAllowed, type LockTarget } from './lock-statement.ts';

/** A row of `innodb_trx`. */
export interface TransactionRow {
  /** InnoDB's number of the transaction. MariaDB shows 0 for all that have changed nothing. */
  readonly trxId: string;
  readonly owner: LockOwner;
  /** The lock that it waits for; undefined if it waits for none. */
  readonly requestedLockId: string | undefined;
  readonly transaction: LockTransaction;
}

/**
 * Reads the transactions of InnoDB; undefined if the account may not. The node computes the ages, because `trx_started` is in its time zone.
 * Throws as `askIfAllowed` does.
 */
export async function readTransactionRows(
  target: LockTarget,
): Promise<readonly TransactionRow[] | undefined> {
  const rows = await askIfAllowed(target, TRANSACTIONS);
  return rows?.map(rowOf);
}

/**
 * Returns what each session's transaction does, also of sessions that are listed no more: MySQL drops the row of a killed session at once,
 * and rolls back then. The server answers out of a copy that is up to 100 ms old, in which that may not have begun.
 */
export function transactionStates(
  rows: readonly TransactionRow[],
): ReadonlyMap<bigint, TransactionState> {
  return new Map(
    rows.flatMap(({ owner, transaction }) => {
      if (owner.kind !== 'session') return [];
      return [[owner.id, transaction.state === 'ROLLING BACK' ? 'rolling_back' : 'open'] as const];
    }),
  );
}

const TRANSACTIONS = `SELECT trx_id, trx_mysql_thread_id, trx_state, trx_requested_lock_id,
  TIMESTAMPDIFF(SECOND, trx_started, NOW()), TIMESTAMPDIFF(SECOND, trx_wait_started, NOW()),
  trx_rows_locked, trx_rows_modified FROM information_schema.innodb_trx`;

function rowOf(values: readonly unknown[]): TransactionRow {
  const [trxId, thread, state, lockId, age, waited, locked, modified] = values;
  const waitSeconds = state === 'LOCK WAIT' ? countOf(waited) : undefined;
  return {
    trxId: String(trxId),
    owner: ownerOf(String(trxId), BigInt(String(thread)), String(state)),
    requestedLockId: waitSeconds === undefined ? undefined : String(lockId),
    transaction: {
      state: String(state),
      seconds: countOf(age),
      rowsLocked: countOf(locked),
      rowsModified: countOf(modified),
      waitSeconds,
    },
  };
}

// A prepared transaction has no session any more. Without a session the server itself rolls back only what a crash left.
function ownerOf(trxId: string, session: bigint, state: string): LockOwner {
  if (session !== 0n) return { kind: 'session', id: session };
  const kind = state === 'ROLLING BACK' ? 'thread' : 'prepared';
  return { kind, id: trxId };
}

/** A clock that steps back makes a difference negative. */
function countOf(value: unknown): bigint {
  const text = String(value);
  return /^\d+$/.test(text) ? BigInt(text) : 0n;
}
