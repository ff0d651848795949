import type { LockOwner, RowLock, RowWait } from '../domain/locks.ts';
import type { Sentence } from '../errors.ts';
import { askForLocks, askIfAllowed, type LockTarget } from './lock-statement.ts';
import type { TransactionRow } from './lock-transactions.ts';
import { UNKNOWN, type RowReading } from './mysql-row-locks.ts';

/** A request for a row lock, and a lock that conflicts with it or a request ahead of it. */
interface Pair {
  readonly requestedLockId: string;
  readonly blockingTrxId: string;
  readonly blockingLockId: string;
}

/**
 * Reads the row waits of MariaDB, and of MySQL before 8.0, from `information_schema.INNODB_LOCK_WAITS`. The table has a pair for each
 * request ahead of another. A filter in SQL takes three times as long as a read of all pairs (MariaDB 10.11, measured).
 * Throws `node_unavailable` past the deadline, or the driver's error if the connection breaks.
 */
export async function readInnodbLockWaits(
  target: LockTarget,
  transactions: readonly TransactionRow[],
): Promise<RowReading> {
  const threadIds = new Map<bigint, bigint>();
  const rows = await askForLocks(target, PAIRS, []);
  if (!Array.isArray(rows)) return { rowWaits: [], threadIds, source: rows as Sentence };
  const pairs = (rows as unknown[][]).map((row): Pair => {
    const [requestedLockId = '', blockingTrxId = '', blockingLockId = ''] = row.map(String);
    return { requestedLockId, blockingTrxId, blockingLockId };
  });
  const locks = await readLocks(target);
  return { rowWaits: rowWaitsOf(pairs, transactions, locks), threadIds, source: 'available' };
}

const PAIRS =
  'SELECT requested_lock_id, blocking_trx_id, blocking_lock_id FROM information_schema.INNODB_LOCK_WAITS';

/** Returns each waiter's waits for lock owners. For a waiter without a known owner, returns its waits for requests ahead. */
function rowWaitsOf(
  pairs: readonly Pair[],
  transactions: readonly TransactionRow[],
  locks: ReadonlyMap<string, RowLock>,
): RowWait[] {
  const waiters = groupBy(transactions, ({ requestedLockId }) => requestedLockId);
  // A transaction waits for one lock at most, so a lock that nobody requests is granted.
  const isGranted = ({ blockingLockId }: Pair): boolean => !waiters.has(blockingLockId);
  const withHolder = new Set(pairs.filter(isGranted).map(({ requestedLockId }) => requestedLockId));
  const shown = pairs.filter((pair) => isGranted(pair) === withHolder.has(pair.requestedLockId));
  const owners = new Map(transactions.map(({ trxId, owner }) => [trxId, owner]));
  return [...groupBy(shown, (pair) => JSON.stringify(pair)).values()].flatMap((equal) => {
    const [pair] = equal;
    const ofLock = waiters.get(pair.requestedLockId) ?? [];
    const holders =
      pair.blockingTrxId === '0'
        ? ownersWithoutNumber(pair, equal.length / ofLock.length, transactions)
        : [owners.get(pair.blockingTrxId) ?? UNKNOWN_OWNER];
    const lock = locks.get(pair.requestedLockId) ?? UNKNOWN;
    return ofLock.flatMap(({ owner, transaction }) =>
      holders.flatMap((holder): RowWait[] => {
        if (owner.kind !== 'session') return [];
        const seconds = transaction.waitSeconds;
        return [
          { waiter: owner.id, holder, isGranted: isGranted(pair), lock: { ...lock, seconds } },
        ];
      }),
    );
  });
}

/**
 * Returns the owners of a lock that have no transaction number. MariaDB gives no number to a transaction that has changed nothing, such as
 * one of SELECT … LOCK IN SHARE MODE. If the transactions that can have the lock are not as many as its owners, returns the unknown owner
 * alone.
 */
function ownersWithoutNumber(
  { blockingLockId }: Pair,
  count: number,
  transactions: readonly TransactionRow[],
): readonly LockOwner[] {
  const possible = transactions.filter(
    ({ trxId, transaction }) => trxId === '0' && transaction.rowsLocked > 0n,
  );
  const asking = possible.filter(({ requestedLockId }) => requestedLockId === blockingLockId);
  const found = asking.length > 0 ? asking : possible;
  return found.length === count ? found.map(({ owner }) => owner) : [UNKNOWN_OWNER];
}

const UNKNOWN_OWNER: LockOwner = { kind: 'unknown' };

async function readLocks(target: LockTarget): Promise<ReadonlyMap<string, RowLock>> {
  const rows = await askIfAllowed(
    target,
    'SELECT lock_id, lock_table, lock_index, lock_mode, lock_data FROM information_schema.INNODB_LOCKS',
  );
  return new Map(
    (rows ?? []).map((values) => {
      const [lockId, path, index, mode, data] = values.map((value) =>
        typeof value === 'string' ? value : undefined,
      );
      const [, db, table] = /^`(.+?)`\.`(.+)`$/.exec(path ?? '') ?? [];
      return [lockId ?? '', { seconds: undefined, db, table, index, mode, data }];
    }),
  );
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, [T, ...T[]]> {
  const groups = new Map<K, [T, ...T[]]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
