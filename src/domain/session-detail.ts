import { ServiceError } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import { waitsOf, type WaitsOfSession } from './lock-report.ts';
import type { LockReading, LockSource, TransactionReading } from './locks.ts';
import type { NodeKey, SessionDescription } from './node.ts';
import type { Looked, SessionService } from './session-service.ts';
import { sourcesFor } from './session-locks.ts';
import { reasonOf, readTransactions } from './transactions.ts';

/** A session with the details that the service shows. */
export interface SessionDetail extends SessionDescription, WaitsOfSession {
  readonly transactions: TransactionReading;
  readonly sources: { readonly row: LockSource; readonly metadata: LockSource };
}

/**
 * Returns the details of a user session. Throws `session_not_found` if the node has no user session with this id, also for an internal
 * thread. The same list decides both cases, and nothing else is read for either. Throws as `SessionService.look` does.
 */
export async function readDetail(
  sessions: SessionService,
  key: NodeKey,
  id: bigint,
  deadline: Deadline,
): Promise<SessionDetail> {
  return sessions.look(key, deadline, async (looked) => {
    const session = looked.sessions.get(id);
    if (session === undefined) throw new ServiceError('session_not_found');
    const [described, transactions, locks] = await Promise.all([
      looked.connection.describe(session, deadline),
      readTransactions(looked.connection, deadline),
      readLocks(looked, deadline),
    ]);
    if (described === undefined) throw new ServiceError('session_not_found');
    const { sources, ...waits } = waitsOf(id, locks, looked.sessions);
    return { ...described, ...waits, transactions, sources };
  });
}

/** Reads the locks. If the node fails to show them, the sources have the reason. */
async function readLocks(
  { connection, list, sessions }: Looked,
  deadline: Deadline,
): Promise<LockReading> {
  try {
    const reading = await connection.locks(list, deadline);
    return { ...reading, sources: sourcesFor(reading.sources, reading, sessions) };
  } catch (error) {
    const reason = reasonOf(error);
    return {
      ...{ rowWaits: [], metadataLocks: [], transactions: undefined },
      ...{ prepared: new Map(), threadIds: new Map(), sources: { row: reason, metadata: reason } },
    };
  }
}
