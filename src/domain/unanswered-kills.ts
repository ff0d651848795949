import { setTimeout as pause } from 'node:timers/promises';
import type { BatchOutcomes } from './batch-outcomes.ts';
import { MAX_LIST_AGE_MS } from './session-snapshot.ts';
import type { Deadline } from './deadline.ts';
import type { ControlConnection, KillOutcome, Node, ProcessList } from './node.ts';
import { isSameEndpoint, sessionOf, type ProcessListRow, type Session } from './session.ts';
import type { Audit, Origin, Outcome } from './termination.ts';
import type { ListedRow } from './user-sessions.ts';

/** A KILL that was sent and not answered. */
export interface UnansweredKill {
  readonly session: Session;
  readonly sentOver: Pick<ControlConnection, 'id'>;
  /** A list that the connection `sentOver` read. It shows that connection too. */
  readonly list: ProcessList;
}

/** The parts that `resolveUnansweredKills` needs besides the connection. */
export interface ResolveParts {
  readonly node: Node;
  readonly audit: Audit;
  readonly origin: Origin;
  readonly now: () => number;
  readonly deadline: Deadline;
  /** Logs the KILL that ends an old connection. */
  readonly outcomes: Pick<BatchOutcomes, 'log'>;
  /** Finds the outcome of a KILL whose session is still listed; by default from the list. Never throws. */
  readonly judgeListed?: (session: Session, connection: ControlConnection) => Promise<Outcome>;
}

const POLL_MS = 50;

/** The outcome of an id, by the outcome of its KILL. */
export const OUTCOMES: Readonly<Record<KillOutcome, Outcome>> = {
  killed: 'killed',
  not_found: 'not_found',
  refused: 'failed',
  not_sent: 'failed',
  unknown: 'unknown',
};

/**
 * Finds the outcomes of KILLs without an answer, over a new connection to the same incarnation. First ends each old connection, which may
 * still hold a KILL: the one exception to "never an internal thread". Then a session that has left or is `Killed` counts as killed, and a
 * live session as failed. Never throws: an outcome that cannot be found is unknown.
 */
export async function resolveUnansweredKills(
  kills: readonly UnansweredKill[],
  connection: ControlConnection,
  parts: ResolveParts,
): Promise<readonly { readonly id: bigint; readonly outcome: Outcome }[]> {
  const resolved: { readonly id: bigint; readonly outcome: Outcome }[] = [];
  // Several connections can break before the first is resolved, and each may hold a KILL.
  let left = kills;
  for (let [first] = left; first !== undefined; [first] = left) {
    const { sentOver } = first;
    const list = await listWithoutOld(first, connection, parts);
    for (const kill of left.filter((other) => other.sentOver.id === sentOver.id)) {
      let outcome = list === undefined ? 'unknown' : judge(kill, connection, list);
      // The list shows whether the session lives, which decides nothing about its statement.
      if (list !== undefined && outcome !== 'killed' && parts.judgeListed !== undefined) {
        outcome = await parts.judgeListed(kill.session, connection);
      }
      resolved.push({ id: kill.session.id, outcome });
    }
    left = left.filter((other) => other.sentOver.id !== sentOver.id);
  }
  return resolved;
}

/** Ends the old connection and returns a list read after that; undefined if it did not end, or no list could be read. */
async function listWithoutOld(
  kill: UnansweredKill,
  connection: ControlConnection,
  parts: ResolveParts,
): Promise<ProcessList | undefined> {
  try {
    if (!(await endOldConnection(kill, connection, parts))) return undefined;
    return await connection.list(parts.deadline);
  } catch {
    return undefined;
  }
}

/** Ends the old connection, which goes on the audit record first. Returns true once a list no longer shows that connection. */
async function endOldConnection(
  { sentOver, list }: UnansweredKill,
  connection: ControlConnection,
  { node, audit, origin, now, deadline, outcomes }: ResolveParts,
): Promise<boolean> {
  const host = rowOf(list, sentOver.id)?.host;
  const isOurs = (row: ProcessListRow): boolean =>
    row.user?.toLowerCase() === node.user.toLowerCase() && row.host === host;
  const end = Math.min(now() + node.killTimeoutMs, deadline);
  let isOnRecord = false;
  let outcome: Outcome | undefined;
  try {
    for (;;) {
      const present = await connection.list(deadline);
      const row = rowOf(present, sentOver.id);
      if (row === undefined) {
        outcome ??= 'not_found';
        return true;
      }
      if (host == null || !isOurs(row) || now() > end) return false;
      const old = sessionOf(row);
      if (!isOnRecord) {
        isOnRecord = true;
        await audit.intend({ origin, node, sessions: [old], areOurs: true }, deadline);
        // The list can be too old after the write to the audit.
        continue;
      }
      if (outcome === undefined && now() - present.askedAt <= MAX_LIST_AGE_MS) {
        const sendBy = present.askedAt + MAX_LIST_AGE_MS;
        const result = await connection.kill(old, { sendBy, deadline });
        if (result.outcome === 'not_sent') continue;
        outcomes.log(old, result);
        outcome = OUTCOMES[result.outcome];
      }
      await pause(POLL_MS);
    }
  } finally {
    const concluded = [{ id: sentOver.id, outcome: outcome ?? 'failed' }];
    if (isOnRecord) audit.conclude({ origin, node, outcomes: concluded });
  }
}

function judge(
  { session }: UnansweredKill,
  connection: ControlConnection,
  list: ProcessList,
): Outcome {
  const row = rowOf(list, session.id);
  if (row === undefined || row.command?.toLowerCase() === 'killed') return 'killed';
  // The node reused the id: the requested session has left.
  if (!isSameEndpoint(row.host ?? '', session.host)) return 'killed';
  // MariaDB shows `Busy` for a session that it cannot read. A killed session can stay `Busy` for seconds.
  const isBusy = row.state?.toLowerCase() === 'busy';
  return isBusy || connection.listsTheDying ? 'unknown' : 'failed';
}

function rowOf({ rows }: ProcessList, id: bigint): ListedRow | undefined {
  const digits = id.toString();
  return rows.find((row): row is ListedRow => row.id === digits);
}
