import type { LockOwner, LockTransaction, TransactionReading } from '../domain/locks.ts';
import type { Sentence } from '../errors.ts';
import { ask, type LockTarget } from './lock-statement.ts';
import { isServerError, serverErrorNumber } from './server-errors.ts';

/** A row of `innodb_trx`. */
export interface TransactionRow {
  /** InnoDB's number of the transaction. MariaDB shows 0 for all that have changed nothing. */
  readonly trxId: string;
  readonly owner: LockOwner;
  /** The lock that it waits for; undefined if it waits for none. */
  readonly requestedLockId: string | undefined;
  readonly transaction: LockTransaction;
}

/** The transactions, or the sentence that says why the node does not show them. */
export type TransactionRows = readonly TransactionRow[] | Sentence;

/**
 * Reads the transactions of InnoDB. The node computes the ages, because `trx_started` is in its time zone.
 * Throws `node_unavailable` past the deadline, or the driver's error if the connection breaks.
 */
export async function readTransactionRows(target: LockTarget): Promise<TransactionRows> {
  try {
    return (await ask(target, TRANSACTIONS)).map(rowOf);
  } catch (error) {
    if (serverErrorNumber(error) === undefined) throw error;
    return isServerError(error, 'ER_CANNOT_CONVERT_STRING') ? NOT_CONVERTIBLE : NO_TRANSACTIONS;
  }
}

/** Returns true if the node showed its transactions. */
export function areShown(rows: TransactionRows): rows is readonly TransactionRow[] {
  return Array.isArray(rows);
}

/** Returns the transactions by session id, also of sessions that are listed no more: MySQL drops a killed session before its rollback. */
export function bySession(
  transactions: readonly TransactionRow[],
): ReadonlyMap<bigint, LockTransaction> {
  return new Map(
    transactions.flatMap(({ owner, transaction }) =>
      owner.kind === 'session' ? [[owner.id, transaction] as const] : [],
    ),
  );
}

/** Returns the reading of a node that answered with these rows. */
export function transactionReading(rows: TransactionRows): TransactionReading {
  return areShown(rows)
    ? { bySession: bySession(rows), source: 'available' }
    : { bySession: new Map(), source: rows };
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

// A transaction without a session is prepared, unless the server itself rolls it back after a crash.
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

const NO_TRANSACTIONS: Sentence = {
  'en-us':
    'The control account may not read information_schema.innodb_trx: GRANT PROCESS ON *.* TO the control account.',
  'zh-cn': '控制账号无权读取information_schema.innodb_trx：请对控制账号执行GRANT PROCESS ON *.*。',
};

/** The reason of MySQL 9.7, which converts each running statement to utf8mb3, and fails the whole query if one has a character of four bytes (measured). */
export const NOT_CONVERTIBLE: Sentence = {
  'en-us':
    'MySQL cannot show its transactions while one of them runs a statement with an emoji or another character of four bytes. Ask again once that statement has ended.',
  'zh-cn':
    '当某个事务正在执行含有表情符号或其他四字节字符的语句时，MySQL无法显示事务。请在该语句结束后重试。',
};

/** TiDB's innodb_trx is always empty. */
export const TIDB_TRANSACTIONS: Sentence = {
  'en-us':
    'TiDB shows no transactions of InnoDB. See information_schema.CLUSTER_TIDB_TRX on the node.',
  'zh-cn': 'TiDB不显示InnoDB事务。请在节点上查看information_schema.CLUSTER_TIDB_TRX。',
};
