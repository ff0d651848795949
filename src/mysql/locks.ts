import { FLUSH_WAIT, isLockWaitState, mayWaitForRow } from '../domain/locks.ts';
import type { LockReading, LockSource, LockTransaction } from '../domain/locks.ts';
import type { ProcessListRow } from '../domain/session.ts';
import type { Sentence } from '../errors.ts';
import { readInnodbLockWaits } from './innodb-lock-waits.ts';
import type { LockTarget } from './lock-statement.ts';
import { areShown, bySession, NOT_CONVERTIBLE, type TransactionRow } from './lock-transactions.ts';
import type { TransactionRows } from './lock-transactions.ts';
import { readMetadataLocks } from './metadata-locks.ts';
import { readMysqlRowWaits, type RowReading } from './mysql-row-locks.ts';
import { doesOneWait, readRowWaitsByThread } from './row-locks-by-thread.ts';
import { readTidbRowWaits } from './tidb-row-locks.ts';

/**
 * Reads the locks of a node. Reads the lock tables of a kind only if a transaction, or a session of the list, waits for such a lock. On
 * older servers no session can take a lock during such a read. On TiDB, which shows no transactions, always reads row locks.
 * Throws `node_unavailable` past the deadline, or the driver's error if the connection breaks.
 */
export async function readLocks(
  target: LockTarget,
  shown: TransactionRows,
  listed: readonly ProcessListRow[],
): Promise<LockReading> {
  const states = new Set(listed.map(({ state }) => state ?? ''));
  const transactions = areShown(shown) ? shown : undefined;
  const row = await readRowWaits(target, shown, listed.some(mayWaitForRow));
  const waits = [...states].some(isLockWaitState);
  const metadata = waits
    ? await readMetadataLocks(target, transactions ?? [])
    : { metadataLocks: [], threadIds: new Map<bigint, bigint>(), source: 'available' as const };
  const isFlushing = metadata.source === 'available' && states.has(FLUSH_WAIT);
  return {
    rowWaits: row.rowWaits,
    metadataLocks: metadata.metadataLocks,
    transactions: transactions && bySession(transactions),
    prepared: prepared(transactions ?? []),
    threadIds: new Map([...row.threadIds, ...metadata.threadIds]),
    sources: { row: row.source, metadata: isFlushing ? FLUSHING : metadata.source },
  };
}

async function readRowWaits(
  target: LockTarget,
  transactions: TransactionRows,
  mayOneWait: boolean,
): Promise<RowReading> {
  const none = { rowWaits: [], threadIds: new Map<bigint, bigint>() };
  const { flavour, version } = target.identity;
  if (flavour === 'tidb') return readTidbRowWaits(target);
  const isModern = flavour === 'mysql' && version >= 800;
  if (!areShown(transactions)) {
    const isReadable = isModern && transactions === NOT_CONVERTIBLE;
    return isReadable
      ? readRowWaitsByThread(target, transactions)
      : { ...none, source: transactions };
  }
  const waits = transactions.some(({ requestedLockId }) => requestedLockId !== undefined);
  if (!waits && mayOneWait) {
    if (isModern) return readRowWaitsByThread(target, NOT_RENEWED);
    return { ...none, source: (await doesOneWait(target)) ? NOT_RENEWED : 'available' };
  }
  if (!waits) return { ...none, source: 'available' };
  const reading = await (isModern
    ? readMysqlRowWaits(target, transactions)
    : readInnodbLockWaits(target, transactions));
  // The two tables can show different moments. Without a match, only the counter shows whether the wait has ended.
  const isUnmatched = reading.source === 'available' && reading.rowWaits.length === 0;
  return isUnmatched && (await doesOneWait(target)) ? { ...reading, source: NOT_RENEWED } : reading;
}

function prepared(transactions: readonly TransactionRow[]): ReadonlyMap<string, LockTransaction> {
  return new Map(
    transactions.flatMap(({ owner, transaction }) =>
      owner.kind === 'prepared' ? [[owner.id, transaction] as const] : [],
    ),
  );
}

// A server renews innodb_trx only if nobody has read it for 100 ms, and counts the waits apart.
const NOT_RENEWED: Sentence = {
  'en-us':
    'Unknown: the node counts sessions that wait for row locks, but does not renew what it shows of them while somebody reads information_schema.innodb_trx more often than every 100 ms. Stop that program, or retry later.',
  'zh-cn':
    '未知：节点统计到有会话正在等待行锁，但由于有程序以小于100毫秒的间隔读取information_schema.innodb_trx，节点不更新所显示的内容。请停止该程序，或稍后重试。',
};

const FLUSHING: LockSource = {
  'en-us':
    'Incomplete: a session waits for a table flush, and the node does not show for whom. End the statement that has run longest. Without that, the end of the FLUSH frees nobody.',
  'zh-cn':
    '不完整：有会话正在等待表刷新，但节点未显示它在等待谁。请终止运行时间最长的语句；否则即使终止该FLUSH，其他会话也无法继续。',
};
