import { limitReached, type Deadline } from '../domain/deadline.ts';
import type { Node, TransactionState } from '../domain/node.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { Flavour } from './identity.ts';
import { serverErrorNumber } from './server-errors.ts';

/**
 * The transactions of InnoDB by session id, also of sessions that are listed no more: MySQL drops the row of a killed session at once, and
 * rolls back then. The server answers out of a copy that is up to 100 ms old, in which that may not have begun.
 * Returns undefined if the server does not show them to the account. Throws `node_unavailable` past the deadline, or the driver's error if the connection breaks.
 */
export async function readTransactions(
  connection: DriverConnection,
  flavour: Flavour,
  node: Node,
  deadline: Deadline,
): Promise<ReadonlyMap<bigint, TransactionState> | undefined> {
  if (deadline <= performance.now()) throw limitReached();
  // TiDB keeps what is not committed in memory: there is nothing to roll back.
  if (flavour === 'tidb') return new Map();
  const sql = 'SELECT trx_mysql_thread_id, trx_state FROM information_schema.innodb_trx';
  try {
    const { rows } = await connection.query(sql, node.listTimeoutMs, deadline);
    return new Map(
      rows.map(([id, state]) => [
        BigInt(String(id)),
        state === 'ROLLING BACK' ? 'rolling_back' : 'open',
      ]),
    );
  } catch (error) {
    if (serverErrorNumber(error) === undefined) throw error;
    return undefined;
  }
}
