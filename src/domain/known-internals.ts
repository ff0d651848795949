import { isSameRun, type Incarnation } from './incarnation.ts';
import { userSessions, type Guard } from './internal-threads.ts';
import type { ControlConnection, ProcessList } from './node.ts';
import { clientPort, type ProcessListRow } from './session.ts';
import type { UserSessions } from './user-sessions.ts';

interface Known {
  readonly incarnation: Incarnation;
  readonly askedAt: number;
  readonly ids: ReadonlySet<string>;
}

interface Selection {
  readonly list: ProcessList;
  /** What was known after it: it holds until more is. */
  readonly known: Known;
  readonly sessions: UserSessions;
}

/**
 * Which ids were internal on each node, as long as its incarnation lasts: what was internal once stays it, as an applier or an
 * event worker can show itself as an ordinary account for a while (pt-kill's trick).
 */
export class KnownInternals {
  /** The last two runs of each, the last one first: where another server stands in for a while, what was known of the first holds again after. */
  readonly #known = new Map<string, readonly Known[]>();
  /** Many requests can share a list, and come for it one after the other. Only the last: what a weak map holds lives through collections. */
  #selection: Selection | undefined;

  /** The user sessions of a list, by id; what is internal in it is remembered. */
  select(
    nodeId: string,
    { incarnation }: Pick<ControlConnection, 'incarnation'>,
    list: ProcessList,
    guard: Omit<Guard, 'knownInternal'>,
  ): UserSessions {
    const { rows, askedAt } = list;
    const runs = this.#known.get(nodeId) ?? [];
    const selection = this.#selection;
    if (selection?.list === list && selection.known === runs[0]) return selection.sessions;
    const before = runs.find((run) => isSameRun(run.incarnation, incarnation));
    const sessions = userSessions(rows, {
      ownIds: guard.ownIds,
      controlAccount: guard.controlAccount,
      internalUsers: guard.internalUsers,
      requireClientPort: guard.requireClientPort,
      knownInternal: before?.ids,
    });
    const ids = new Set<string>();
    for (const row of sessions.others) {
      const { id } = row;
      if (id === null) continue;
      const isKnown = before?.ids.has(id) === true;
      if (isKnown || !isLoggingIn(row)) ids.add(id);
    }
    // A list that is older than the last one, or a part, cannot tell which ids are gone.
    const isNews = before === undefined || (before.askedAt <= askedAt && list.isPart !== true);
    if (!isNews) for (const id of before.ids) ids.add(id);
    const newest = Math.max(askedAt, before?.askedAt ?? 0);
    const known = { incarnation, askedAt: newest, ids };
    const other = runs.find((run) => run !== before);
    this.#known.set(nodeId, other === undefined ? [known] : [known, other]);
    this.#selection = { list, known, sessions };
    return sessions;
  }
}

// A client is no session yet while it logs in, but becomes one.
function isLoggingIn({ user, command, host }: ProcessListRow): boolean {
  if (user?.toLowerCase() === 'unauthenticated user') return true;
  return command?.toLowerCase() === 'connect' && clientPort(host ?? '') !== undefined;
}
