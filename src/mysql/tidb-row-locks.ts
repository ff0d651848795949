import type { RowWait } from '../domain/locks.ts';
import type { Sentence } from '../errors.ts';
import { askForLocks, type LockTarget } from './lock-statement.ts';
import { idOf } from './metadata-locks.ts';
import { UNKNOWN, type RowReading } from './mysql-row-locks.ts';

/**
 * Reads the row waits of the whole TiDB cluster. The process list shows the sessions of one TiDB instance: it does not explain a holder on
 * another instance. Throws `node_unavailable` past the deadline, or the driver's error if the connection breaks.
 */
export async function readTidbRowWaits(target: LockTarget): Promise<RowReading> {
  const threadIds = new Map<bigint, bigint>();
  const rows = await askForLocks(target, WAITS, []);
  if (!Array.isArray(rows)) return { rowWaits: [], threadIds, source: rows as Sentence };
  const rowWaits = (rows as unknown[][]).flatMap((values): RowWait[] => {
    const [waiter, holder, seconds] = values.slice(0, 3).map(idOf);
    if (waiter === undefined) return [];
    return [
      {
        waiter,
        holder: holder === undefined ? { kind: 'unknown' } : { kind: 'session', id: holder },
        isGranted: true,
        lock: { ...UNKNOWN, ...namesIn(String(values[3])), seconds },
      },
    ];
  });
  return { rowWaits, threadIds, source: 'available' };
}

const WAITS = `SELECT waiter.SESSION_ID, holder.SESSION_ID, TIMESTAMPDIFF(SECOND, waiter.WAITING_START_TIME, NOW()), w.KEY_INFO
  FROM information_schema.DATA_LOCK_WAITS w
  LEFT JOIN information_schema.CLUSTER_TIDB_TRX waiter ON waiter.ID = w.TRX_ID
  LEFT JOIN information_schema.CLUSTER_TIDB_TRX holder ON holder.ID = w.CURRENT_HOLDING_TRX_ID`;

/** KEY_INFO is a JSON object, as far as the instance can decode the key. */
function namesIn(key: string): Partial<Record<'db' | 'table' | 'index' | 'data', string>> {
  const textOf = (name: string): string | undefined =>
    new RegExp(`"${name}":\\s*"([^"]*)"`).exec(key)?.[1];
  const [db, table, index] = [textOf('db_name'), textOf('table_name'), textOf('index_name')];
  const data = textOf('handle_value');
  return {
    ...(db !== undefined && { db }),
    ...(table !== undefined && { table }),
    ...(index !== undefined && { index }),
    ...(data !== undefined && { data }),
  };
}
