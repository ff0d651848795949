import { ServiceError } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import { lockReport, rootCauseOf, type Blocker, type LockReport } from './lock-report.ts';
import type { RequestedLock } from './lock-report.ts';
import { isLockWaitState, mayWaitForRow, type LockReading } from './locks.ts';
import type { ControlConnection, Node, NodeKey, Nodes } from './node.ts';
import type { SessionSelector } from './session-snapshot.ts';
import type { Session } from './session.ts';
import type { UserSessions } from './user-sessions.ts';

/** The parts that the locks of sessions are read with. */
export interface SessionLocksParts {
  readonly nodes: Nodes;
  readonly selector: SessionSelector;
  /** Returns the node. Throws `instance_not_found`, `node_not_found`, `stopping`. */
  readonly find: (key: NodeKey) => Node;
}

/** A report in which `canBeKilled` is false also for a session whose KILL the node is known to refuse. */
export interface NodeBlockers extends LockReport {
  /** False if the control account may not read transactions. True on TiDB, which shows none. */
  readonly hasTransactions: boolean;
}

/** A session that waits for a lock, and the session at the end of its chain. */
export interface LockCause {
  readonly waiter: Session;
  /** The lock that it waits for; undefined if the node shows only that it waits. */
  readonly lock: RequestedLock | undefined;
  /** The time that it has waited, in whole seconds. */
  readonly seconds: bigint | undefined;
  /** Undefined if the node does not show it. */
  readonly root: Blocker | undefined;
}

/** Reports which user sessions of a node wait, and for which blockers. Its results are at most 2 s old. */
export class SessionLocks {
  readonly #parts: SessionLocksParts;

  constructor(parts: SessionLocksParts) {
    this.#parts = parts;
  }

  /** Returns the blockers and the waits. Throws `instance_not_found`, `node_not_found`, `stopping`, `node_unavailable`. */
  async blockers(key: NodeKey, deadline: Deadline): Promise<NodeBlockers> {
    return this.#read(key, deadline, async (reading, sessions, connection) => {
      const report = lockReport(reading, sessions);
      return {
        ...report,
        blockers: await withRefusals(report.blockers, connection, deadline),
        sources: sourcesFor(report.sources, reading, sessions),
        hasTransactions: reading.transactions !== undefined,
      };
    });
  }

  /**
   * Returns why a session waits, or undefined if it waits for nobody.
   * Throws `session_not_found` if no user session has this id. Otherwise throws as `blockers` does.
   */
  async causeOf(key: NodeKey, id: bigint, deadline: Deadline): Promise<LockCause | undefined> {
    return this.#read(key, deadline, (reading, sessions) => {
      const waiter = sessions.get(id);
      if (waiter === undefined) throw new ServiceError('session_not_found');
      const cause = rootCauseOf(id, reading, sessions);
      if (cause !== undefined) return { waiter, ...cause, seconds: cause.lock.seconds };
      const waited = reading.transactions?.get(id)?.waitSeconds;
      const seconds = isLockWaitState(waiter.state) ? waiter.time : waited;
      return seconds === undefined
        ? undefined
        : { waiter, lock: undefined, seconds, root: undefined };
    });
  }

  async #read<T>(
    key: NodeKey,
    deadline: Deadline,
    work: (
      reading: LockReading,
      sessions: UserSessions,
      connection: ControlConnection,
    ) => T | Promise<T>,
  ): Promise<T> {
    const { nodes, selector, find } = this.#parts;
    const node = find(key);
    return nodes.withConnection(node, deadline, async (connection) => {
      const list = await connection.list(deadline);
      const sessions = selector.select(node, connection, list);
      return work(await connection.locks(list, deadline), sessions, connection);
    });
  }
}

async function withRefusals(
  blockers: readonly Blocker[],
  connection: ControlConnection,
  deadline: Deadline,
): Promise<readonly Blocker[]> {
  const candidates = blockers.flatMap(({ canBeKilled, session }) =>
    canBeKilled && session ? [session] : [],
  );
  if (candidates.length === 0) return blockers;
  const refused = await connection.predictRefusals(candidates, deadline);
  return blockers.map((blocker) =>
    refused.has(blocker.id ?? 0n) ? { ...blocker, canBeKilled: false } : blocker,
  );
}

/**
 * Hides the trouble of a source for which no user session waits. A source is read only if a session waits, so its trouble would show that
 * an internal thread waits.
 */
export function sourcesFor(
  { row, metadata }: LockReport['sources'],
  { transactions }: LockReading,
  sessions: UserSessions,
): LockReport['sources'] {
  const waitsForRow = [...(transactions ?? [])].some(
    ([id, { waitSeconds }]) => waitSeconds !== undefined && sessions.get(id) !== undefined,
  );
  // TiDB shows no transactions, and its row locks are always read.
  const isRowShown =
    waitsForRow ||
    transactions === undefined ||
    transactions.size === 0 ||
    // A node that does not renew its transactions shows no waits.
    sessions.ascending.some(mayWaitForRow);
  const isMetadataShown = sessions.ascending.some(({ state }) => isLockWaitState(state ?? ''));
  return {
    row: isRowShown ? row : 'available',
    metadata: isMetadataShown ? metadata : 'available',
  };
}
