import { asServiceError, type Sentence } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import type { LockTransaction, TransactionReading } from './locks.ts';
import type { ControlConnection } from './node.ts';

/** Returns the open transactions. If the node fails to show them, `source` has the reason: the list that was read before stays useful. */
export async function readTransactions(
  connection: ControlConnection,
  deadline: Deadline,
): Promise<TransactionReading> {
  return connection.transactions(deadline).catch((error: unknown) => {
    return { bySession: new Map<bigint, LockTransaction>(), source: reasonOf(error) };
  });
}

/** Returns the sentence of an error for the caller. Throws the error if it is not `node_unavailable`, or has no sentence. */
export function reasonOf(error: unknown): Sentence {
  const { code, detail } = asServiceError(error);
  if (code !== 'node_unavailable' || detail === undefined) throw error;
  return detail;
}
