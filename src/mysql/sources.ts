import type { LockSource } from '../domain/locks.ts';
import type { SourceFacts } from '../domain/capabilities.ts';
import { askIfAllowed, ask, grantMissing, MISSING, type LockTarget } from './lock-statement.ts';
import {
  transactionReading,
  TIDB_TRANSACTIONS,
  type TransactionRows,
} from './lock-transactions.ts';
import { NOT_OF_TIDB } from './metadata-locks.ts';
import { GRANTED_TABLES } from './mysql-row-locks.ts';
import { isServerError, serverErrorNumber } from './server-errors.ts';
import { IS_OFF } from './session-description.ts';

const METADATA_TABLES = ['performance_schema.metadata_locks', 'performance_schema.threads'];
const ATTRIBUTE_TABLES = ['performance_schema.session_connect_attrs'];

type State = 'readable' | 'denied' | 'missing';

/**
 * Returns which sources the control account can read. Reads no row of a lock table. Throws `node_unavailable` past the deadline, or the
 * driver's error if the connection breaks.
 */
export async function readSources(
  target: LockTarget,
  transactions: TransactionRows,
): Promise<SourceFacts> {
  const { flavour, version } = target.identity;
  const isTidb = flavour === 'tidb';
  const { source } = transactionReading(transactions);
  const rowTables = flavour === 'mysql' && version >= 800 ? GRANTED_TABLES : [];
  const metadataTables = isTidb ? [] : METADATA_TABLES;
  const states = new Map<string, State>();
  for (const table of new Set([...rowTables, ...metadataTables, ...ATTRIBUTE_TABLES])) {
    states.set(table, await stateOf(target, table));
  }
  const isOn =
    String((await askIfAllowed(target, 'SELECT @@performance_schema'))?.[0]?.[0]) !== '0';
  const sourceOf = (tables: readonly string[]): LockSource => {
    if (!isOn) return IS_OFF;
    const denied = tables.filter((table) => states.get(table) === 'denied');
    if (denied.length > 0) return grantMissing(denied);
    return tables.every((table) => states.get(table) === 'readable') ? 'available' : MISSING;
  };
  return {
    transaction: isTidb ? TIDB_TRANSACTIONS : source,
    row: rowTables.length > 0 ? sourceOf(rowTables) : isTidb ? 'available' : source,
    metadata: isTidb ? NOT_OF_TIDB : sourceOf(metadataTables),
    connectionAttributes: sourceOf(ATTRIBUTE_TABLES),
    optionalGrants: [...states]
      .filter(([, state]) => state === 'denied')
      .map(([table]) => `SELECT ON ${table}`),
  };
}

/** Returns the state of a table. With LIMIT 0, a server checks the privilege and reads no row. */
async function stateOf(target: LockTarget, table: string): Promise<State> {
  try {
    await ask(target, `SELECT 1 FROM ${table} LIMIT 0`);
    return 'readable';
  } catch (error) {
    if (serverErrorNumber(error) === undefined) throw error;
    return isServerError(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR')
      ? 'denied'
      : 'missing';
  }
}
