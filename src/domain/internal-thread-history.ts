import { isNetworkClient, reasonOfUser, userSessions } from './client-filter.ts';
import type { ClientFilter } from './client-filter.ts';
import { isAtRest, loginUserOf, type UserSessions } from './user-sessions.ts';
import {
  isInternalCommand,
  isProvenReplicating,
  isServerThread,
  servesClient,
} from './internal-names.ts';
import { type ControlConnection } from './node.ts';
import type { ProcessList } from './node.ts';
import {
  clientPort,
  type Incarnation,
  isCutHost,
  isSameRun,
  type ProcessListRow,
} from './session.ts';

interface Known {
  readonly incarnation: Incarnation;
  readonly askedAt: number;
  /** The ids of threads that serve no client. */
  readonly threads: ReadonlySet<string>;
  /** The ids of sessions whose own account is internal. */
  readonly sessions: ReadonlySet<string>;
}

interface Selection {
  readonly list: ProcessList;
  /** What was known after it: it holds until more is. */
  readonly known: Known;
  readonly sessions: UserSessions;
}

type Rules = Omit<ClientFilter, 'knownInternal' | 'ofInternalUsers'>;

/**
 * Which ids were proven internal on each node, as long as its incarnation lasts: an applier or an event worker can show itself as an
 * ordinary account for a while (pt-kill's trick). Only reasons that last are remembered:
 * - what a thread is: one of our own connections; a command or a state that no client has; a `system user` without a client's
 *   endpoint; a thread that serves no client in `performance_schema`. No thread becomes a client's later, so these hold for its life.
 * - a session's own account, which it shows between two statements and its thread shows always. It holds until the session rests under
 *   another account.
 * Any other account can be that of a routine's definer, which a client shows only until the routine ends; so can a host without a port.
 * Such a row is internal, but its id is not remembered.
 */
export class InternalThreadHistory {
  /** The last two runs of each, the last one first: where another server stands in for a while, what was known of the first holds again after. */
  readonly #known = new Map<string, readonly Known[]>();
  /** The last selection, for requests that share a list. A weak map would keep older lists for longer. */
  #selection: Selection | undefined;

  /** Returns the user sessions of a list, and remembers what proves itself internal in it. */
  select(
    nodeId: string,
    { incarnation }: Pick<ControlConnection, 'incarnation'>,
    list: ProcessList,
    rules: Rules,
  ): UserSessions {
    const { rows, askedAt } = list;
    const runs = this.#known.get(nodeId) ?? [];
    const selection = this.#selection;
    if (selection?.list === list && selection.known === runs[0]) return selection.sessions;
    const before = runs.find((run) => isSameRun(run.incarnation, incarnation));
    const sessions = userSessions(rows, {
      ownIds: rules.ownIds,
      controlAccount: rules.controlAccount,
      internalUsers: rules.internalUsers,
      requireClientPort: rules.requireClientPort,
      knownInternal: before?.threads,
      ofInternalUsers: before?.sessions,
    });
    // A list that is older than the last one, or a part, does not show which ids are gone.
    const isNews = before === undefined || (before.askedAt <= askedAt && list.isPart !== true);
    const found = provenIn(sessions.others, rules, before);
    if (!isNews) {
      for (const id of before.threads) found.threads.add(id);
      for (const id of before.sessions) found.sessions.add(id);
    }
    const newest = Math.max(askedAt, before?.askedAt ?? 0);
    const known = { incarnation, askedAt: newest, ...found };
    const other = runs.find((run) => run !== before);
    this.#known.set(nodeId, other === undefined ? [known] : [known, other]);
    this.#selection = { list, known, sessions };
    return sessions;
  }
}

function provenIn(
  rows: readonly ProcessListRow[],
  rules: Rules,
  before: Known | undefined,
): { readonly threads: Set<string>; readonly sessions: Set<string> } {
  const ownIds = new Set([...rules.ownIds].map(String));
  const [threads, sessions] = [new Set<string>(), new Set<string>()];
  for (const row of rows) {
    const { id } = row;
    if (id === null) continue;
    if (before?.threads.has(id) === true || ownIds.has(id) || isProvenThread(row, rules)) {
      threads.add(id);
    } else if (
      hasInternalLogin(row, rules) ||
      (!isAtRest(row) && before?.sessions.has(id) === true)
    ) {
      sessions.add(id);
    }
  }
  return { threads, sessions };
}

/** True if a row shows that its session logged in with an internal account. */
function hasInternalLogin(row: ProcessListRow, rules: Rules): boolean {
  const login = loginUserOf(row);
  return login !== undefined && reasonOfUser(login.toLowerCase(), rules) !== undefined;
}

/** True if a row proves that its thread serves no client. */
function isProvenThread(row: ProcessListRow, { requireClientPort }: Rules): boolean {
  const { thread } = row;
  const host = row.host ?? '';
  const user = row.user?.toLowerCase();
  const command = row.command?.toLowerCase() ?? '';
  if (thread !== undefined && isServerThread(thread.name)) return true;
  if (!isAtRest(row) && isProvenReplicating(row)) return true;
  const isOverNetwork = clientPort(host) !== undefined || isCutHost(host) || isNetworkClient(row);
  const isSocketClient = host === 'localhost' && !requireClientPort;
  // Event workers stay in it, and clients pass through it while they log in.
  const isLoggingIn = command === 'connect' && (isOverNetwork || isSocketClient);
  if (user === 'unauthenticated user' || isLoggingIn) return false;
  if (thread !== undefined && !servesClient(thread)) return true;
  if (command !== '' && isInternalCommand(command)) return true;
  return user === 'system user' && !isOverNetwork && host !== 'localhost';
}
