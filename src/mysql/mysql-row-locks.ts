import type { LockReading, RowLock, RowWait } from '../domain/locks.ts';
import type { Sentence } from '../errors.ts';
import { askForLocks, askIfAllowed, type LockTarget } from './lock-statement.ts';
import type { TransactionRow } from './lock-transactions.ts';

/** The part of a reading that holds row waits. */
export type RowReading = Pick<LockReading, 'rowWaits' | 'threadIds'> & {
  readonly source: LockReading['sources']['row'];
};

/** With more transactions to look for, one walk through all pairs is quicker (MySQL 9.7, measured). */
const MANY = 64;
/** The tables and the data of at most this many requests are read. */
const MAX_DETAILS = 1000;
/**
 * In MySQL before 8.0.40, 8.4.3 and 9.1, a read of the lock tables blocks all row locks. With more row locks than this, the lock tables of
 * these versions are not read.
 */
const MAX_ROW_LOCKS = 1_000_000n;

/**
 * Reads the row waits of MySQL 8.0 and newer. `data_lock_waits` has a pair for each request ahead of another, so its size grows with the
 * square of a queue. A transaction waits for one lock at most: a lock that it holds and does not request is granted.
 * Throws `node_unavailable` past the deadline, or the driver's error if the connection breaks.
 */
export async function readMysqlRowWaits(
  target: LockTarget,
  transactions: readonly TransactionRow[],
): Promise<RowReading> {
  const none = { rowWaits: [], threadIds: new Map<bigint, bigint>() };
  const tooMany = await whyTooMany(target, transactions);
  if (tooMany !== undefined) return { ...none, source: tooMany };
  const waiting = transactions.filter(isWaiting);
  const others = transactions.filter((row) => !isWaiting(row));
  const running = others.length > MANY ? others.filter((row) => mayHold(row, 0n)) : others;
  // One row lock of a waiting transaction is the requested one.
  const holding = waiting.filter((row) => mayHold(row, 1n));
  const pairs: (readonly unknown[])[] = [];
  let source: RowReading['source'] = 'available';
  const requested = waiting.map(({ requestedLockId }) => `'${requestedLockId ?? ''}'`);
  const isWide = running.length > MANY || holding.length > MANY;
  const queries = isWide
    ? [`BLOCKING_ENGINE_LOCK_ID NOT IN (${requested.join(', ')})`]
    : [
        ofBlockers(running),
        ofBlockers(holding, `BLOCKING_ENGINE_LOCK_ID NOT IN (${requested.join(', ')})`),
      ];
  for (const where of queries) {
    if (where === undefined || source !== 'available') continue;
    const rows = await askForLocks(target, `${PAIRS} ${where}`, GRANTED_TABLES);
    if (Array.isArray(rows)) pairs.push(...(rows as unknown[][]));
    else source = rows as Exclude<RowReading['source'], 'available'>;
  }
  return { ...(await rowWaitsOf(target, transactions, pairs)), source };
}

/** Selects pairs of a request and a lock; the condition is missing. */
export const PAIRS = `SELECT REQUESTING_ENGINE_TRANSACTION_ID, REQUESTING_ENGINE_LOCK_ID, BLOCKING_ENGINE_TRANSACTION_ID
  FROM performance_schema.data_lock_waits WHERE`;

/** The tables that the control account must be able to read. */
export const GRANTED_TABLES = [
  'performance_schema.data_lock_waits',
  'performance_schema.data_locks',
];

function isWaiting({ requestedLockId }: TransactionRow): boolean {
  return requestedLockId !== undefined;
}

/**
 * Returns true if a transaction may have more row locks than it requests. A changed row is locked, but is counted only once another
 * transaction wants it.
 */
function mayHold({ transaction }: TransactionRow, requested: bigint): boolean {
  return transaction.rowsLocked > requested || transaction.rowsModified > 0n;
}

function ofBlockers(blockers: readonly TransactionRow[], more = ''): string | undefined {
  if (blockers.length === 0) return undefined;
  const ids = blockers.map(({ trxId }) => trxId).join(', ');
  return `BLOCKING_ENGINE_TRANSACTION_ID IN (${ids})${more === '' ? '' : ` AND ${more}`}`;
}

/** Returns the row waits of pairs, with what these transactions and the lock tables show of them. */
export async function rowWaitsOf(
  target: LockTarget,
  transactions: readonly TransactionRow[],
  pairs: readonly (readonly unknown[])[],
): Promise<Pick<RowReading, 'rowWaits' | 'threadIds'>> {
  const byTrxId = new Map(transactions.map((row) => [row.trxId, row]));
  const lockIds = [...new Set(pairs.map((pair) => String(pair[1])))].sort().slice(0, MAX_DETAILS);
  const locks = await readLocks(target, lockIds);
  const rowWaits = pairs.flatMap((pair): RowWait[] => {
    const [waiterTrx, lockId, holderTrx] = pair.map(String);
    const waiter = byTrxId.get(waiterTrx ?? '');
    const holder = byTrxId.get(holderTrx ?? '');
    // A waiter that is not in the transaction list is skipped. A holder that is not in it is `unknown`.
    if (waiter?.owner.kind !== 'session') return [];
    const lock = {
      ...(locks.get(lockId ?? '') ?? UNKNOWN),
      seconds: waiter.transaction.waitSeconds,
    };
    const owner = holder?.owner ?? { kind: 'unknown' as const };
    return [{ waiter: waiter.owner.id, holder: owner, isGranted: true, lock }];
  });
  return { rowWaits, threadIds: await readThreadIds(target, rowWaits) };
}

/** The lock tables can show the thread of a waiter in place of its holder's (MySQL 9.7, measured). */
async function readThreadIds(
  target: LockTarget,
  rowWaits: readonly RowWait[],
): Promise<ReadonlyMap<bigint, bigint>> {
  const holders = rowWaits.flatMap(({ holder }) => (holder.kind === 'session' ? [holder.id] : []));
  if (holders.length === 0) return new Map();
  const ids = [...new Set(holders)].join(', ');
  const rows = await askIfAllowed(
    target,
    `SELECT PROCESSLIST_ID, THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_ID IN (${ids})`,
  );
  return new Map((rows ?? []).map(([id, thread]) => [BigInt(String(id)), BigInt(String(thread))]));
}

async function readLocks(
  target: LockTarget,
  lockIds: readonly string[],
): Promise<ReadonlyMap<string, RowLock>> {
  if (lockIds.length === 0) return new Map();
  const ids = lockIds.map((lockId) => `'${lockId}'`).join(', ');
  // Without the engine, the other half of the primary key, MySQL 9.7 finds only the first of the ids (measured).
  const rows = await askIfAllowed(
    target,
    `SELECT ENGINE_LOCK_ID, OBJECT_SCHEMA, OBJECT_NAME, INDEX_NAME, LOCK_MODE, LOCK_DATA FROM performance_schema.data_locks
      WHERE ENGINE = 'INNODB' AND ENGINE_LOCK_ID IN (${ids})`,
  );
  return new Map(
    (rows ?? []).map(([lockId, ...values]) => {
      const [db, table, index, mode, data] = values.map((value) =>
        typeof value === 'string' ? value : undefined,
      );
      return [String(lockId), { seconds: undefined, db, table, index, mode, data }];
    }),
  );
}

/** A lock of which the node shows nothing. */
export const UNKNOWN: RowLock = {
  seconds: undefined,
  db: undefined,
  table: undefined,
  index: undefined,
  mode: undefined,
  data: undefined,
};

async function whyTooMany(
  target: LockTarget,
  transactions: readonly TransactionRow[],
): Promise<Sentence | undefined> {
  const locked = transactions.reduce((sum, row) => sum + row.transaction.rowsLocked, 0n);
  if (locked <= MAX_ROW_LOCKS) return undefined;
  const rows = await askIfAllowed(target, 'SELECT VERSION()');
  return isSlowVersion(String(rows?.[0]?.[0])) ? tooManyLocks(locked) : undefined;
}

/** Returns true for a version of MySQL that holds InnoDB's mutexes while its lock tables are read. */
export function isSlowVersion(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = (/^\d+\.\d+\.\d+/.exec(version)?.[0] ?? '')
    .split('.')
    .map(Number);
  if (major !== 8) return major < 9 || (major === 9 && minor === 0);
  if (minor === 0) return patch < 40;
  return minor < 4 || (minor === 4 && patch < 3);
}

function tooManyLocks(locked: bigint): Sentence {
  return {
    'en-us': `The transactions of the node lock ${locked} rows, and no session could lock another one while this version shows them. Update MySQL to 8.0.40, 8.4.3, 9.1 or newer, or end the transaction that locks most rows.`,
    'zh-cn': `节点上的事务共锁定${locked}行，而此版本在显示锁期间会阻止任何会话加锁。请将MySQL升级到8.0.40、8.4.3、9.1或更新版本，或终止锁定行数最多的事务。`,
  };
}
