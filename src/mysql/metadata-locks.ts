import type { Sentence } from '../errors.ts';
import type { LockOwner, LockReading, MetadataLock } from '../domain/locks.ts';
import { askForLocks, askIfAllowed, type LockTarget } from './lock-statement.ts';
import type { TransactionRow } from './lock-transactions.ts';

/** The part of a reading that holds metadata locks. */
type MetadataReading = Pick<LockReading, 'metadataLocks' | 'threadIds'> & {
  readonly source: LockReading['sources']['metadata'];
};

/**
 * Reads the locks on all objects that have a pending lock. The caller has seen a session that waits. Throws `node_unavailable` past the
 * deadline, or the driver's error if the connection breaks.
 */
export async function readMetadataLocks(
  target: LockTarget,
  transactions: readonly TransactionRow[],
): Promise<MetadataReading> {
  const none = { metadataLocks: [], threadIds: new Map<bigint, bigint>() };
  if (target.identity.flavour === 'tidb') return { ...none, source: NOT_OF_TIDB };
  const rows = await askForLocks(target, LOCKS, [
    'performance_schema.metadata_locks',
    'performance_schema.threads',
  ]);
  if (!Array.isArray(rows)) return { ...none, source: rows as Sentence };
  if (rows.length === 0) return { ...none, source: await whyNone(target) };
  const prepared = await threadsOfPrepared(target, transactions);
  const threadIds = new Map<bigint, bigint>();
  const metadataLocks = (rows as unknown[][]).map((values): MetadataLock => {
    const [type, db, name, mode, status, thread, session, kind] = values;
    const id = idOf(session);
    if (id !== undefined) threadIds.set(id, BigInt(String(thread)));
    return {
      owner: prepared.get(String(thread)) ?? ownerOf(String(thread), id, kind !== null),
      type: String(type),
      db: textOf(db),
      name: textOf(name),
      mode: String(mode),
      isGranted: status === 'GRANTED',
    };
  });
  return { metadataLocks, threadIds, source: 'available' };
}

const LOCKS = `SELECT m.OBJECT_TYPE, m.OBJECT_SCHEMA, m.OBJECT_NAME, m.LOCK_TYPE, m.LOCK_STATUS, m.OWNER_THREAD_ID,
  t.PROCESSLIST_ID, t.TYPE FROM (
    SELECT DISTINCT OBJECT_TYPE, OBJECT_SCHEMA, OBJECT_NAME FROM performance_schema.metadata_locks WHERE LOCK_STATUS = 'PENDING'
  ) p JOIN performance_schema.metadata_locks m ON m.OBJECT_TYPE = p.OBJECT_TYPE AND m.OBJECT_SCHEMA <=> p.OBJECT_SCHEMA
    AND m.OBJECT_NAME <=> p.OBJECT_NAME AND m.LOCK_STATUS IN ('GRANTED', 'PENDING')
  LEFT JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID`;

/** A lock whose thread has left is of a prepared transaction, or was released during the read. */
function ownerOf(thread: string, session: bigint | undefined, hasThread: boolean): LockOwner {
  if (session !== undefined) return { kind: 'session', id: session };
  return hasThread ? { kind: 'thread', id: thread } : { kind: 'unknown' };
}

/**
 * Returns prepared transactions by the decimal id of the thread that began them. MySQL keeps the metadata locks of a prepared transaction
 * under that thread, also after its session has ended.
 */
async function threadsOfPrepared(
  target: LockTarget,
  transactions: readonly TransactionRow[],
): Promise<ReadonlyMap<string, LockOwner>> {
  const ids = transactions.filter(({ owner }) => owner.kind === 'prepared').map((row) => row.trxId);
  const { flavour, version } = target.identity;
  if (ids.length === 0 || flavour !== 'mysql' || version < 800) return new Map();
  const rows = await askIfAllowed(
    target,
    `SELECT DISTINCT THREAD_ID, ENGINE_TRANSACTION_ID FROM performance_schema.data_locks
      WHERE ENGINE_TRANSACTION_ID IN (${ids.join(', ')}) AND LOCK_TYPE = 'TABLE'`,
  );
  return new Map(
    (rows ?? []).map(([thread, id]) => [String(thread), { kind: 'prepared', id: String(id) }]),
  );
}

/** Returns why no lock is shown while a session waits for one. */
async function whyNone(target: LockTarget): Promise<LockReading['sources']['metadata']> {
  const rows = await askIfAllowed(target, 'SELECT @@performance_schema');
  if (String(rows?.[0]?.[0]) === '0') return IS_OFF;
  // The wait can have ended meanwhile: MySQL 8.0 and newer show every lock by default.
  const { flavour, version } = target.identity;
  return flavour === 'mysql' && version >= 800 ? 'available' : NO_INSTRUMENT;
}

/** Returns an id as a bigint; undefined for NULL. */
export function idOf(value: unknown): bigint | undefined {
  return typeof value === 'string' || typeof value === 'number' ? BigInt(value) : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

const IS_OFF: Sentence = {
  'en-us':
    'The node does not show metadata locks, because its performance schema is off. Set performance_schema = ON in its configuration, and restart it.',
  'zh-cn':
    '节点的performance schema已关闭，因此不显示元数据锁。请在其配置中设置performance_schema = ON并重启节点。',
};

const NO_INSTRUMENT: Sentence = {
  'en-us':
    'A session waits for a metadata lock, but the node shows none. Set ENABLED to YES for wait/lock/metadata/sql/mdl in performance_schema.setup_instruments: the node then shows the locks that are taken from that moment on.',
  'zh-cn':
    '有会话正在等待元数据锁，但节点未显示任何锁。请在performance_schema.setup_instruments中将wait/lock/metadata/sql/mdl的ENABLED设为YES：此后获得的锁会显示。',
};

/** TiDB has its own view of metadata locks. */
export const NOT_OF_TIDB: Sentence = {
  'en-us': 'TiDB does not show metadata locks. See mysql.tidb_mdl_view on the node.',
  'zh-cn': 'TiDB不显示元数据锁。请在节点上查看mysql.tidb_mdl_view。',
};
