import type { Connected } from './connection.ts';
import type { Flavour } from './identity.ts';
import { serverErrorNumber } from './server-errors.ts';

/**
 * The session ids whose transactions InnoDB is rolling back, also of sessions that are listed no more: MySQL drops the row of a
 * killed session at once. Undefined on a server that has no such list or does not show it to the account. Rejects when the line breaks.
 */
export async function readRollingBack(
  connected: Connected,
  flavour: Flavour,
  timeoutMs: number,
): Promise<ReadonlySet<bigint> | undefined> {
  // A session that TiDB lists no more has no rollback that anybody waits for: locks go with it.
  if (flavour === 'tidb') return new Set();
  const sql =
    "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'ROLLING BACK'";
  try {
    const { rows } = await connected.query(sql, timeoutMs);
    return new Set(rows.map(([id]) => BigInt(String(id))));
  } catch (error) {
    if (serverErrorNumber(error) === undefined) throw error;
    return undefined;
  }
}
