import { isNetworkClient, reasonOfUser, userSessions } from './client-filter.ts';
import type { ClientFilter } from './client-filter.ts';
import { isAtRest, loginUserOf, type UserSessions } from './user-sessions.ts';
import {
  isInternalCommand,
  isProvenReplicating,
  isServerThread,
  servesClient,
} from './internal-names.ts';
import type { ControlConnection } from './node.ts';
import type { ProcessList } from './node.ts';
import {
  clientPort,
  isCutHost,
  isSameRun,
  type Incarnation,
  type ProcessListRow,
} from './session.ts';

/** The ids that the lists of one run proved internal. */
interface Known {
  readonly incarnation: Incarnation;
  readonly askedAt: number;
  /** Threads that serve no client. */
  readonly threads: ReadonlySet<string>;
  /** Sessions whose own account is internal. */
  readonly sessions: ReadonlySet<string>;
}

interface Selection {
  readonly list: ProcessList;
  /** The history after this list. The selection is valid until the history changes. */
  readonly known: Known;
  readonly sessions: UserSessions;
}

type Rules = Omit<ClientFilter, 'knownInternal' | 'ofInternalUsers'>;

/**
 * Keeps the ids that lists proved internal, for each node and incarnation. An applier or an event worker can show an ordinary account at
 * times; pt-kill remembers replication threads for the same reason. Keeps an id only for a reason that lasts:
 * - The thread serves no client, and never will. It is one of our own connections, or has a command or a state that no client has. Or it is a
 *   `system user` without a client's endpoint, or a server thread in `performance_schema`.
 * - The own account of the session is internal. The row shows that account between two statements, the thread shows it always. The id is kept
 *   until the session rests under another account.
 * Any other account, or a host without a port, can be that of a routine's definer: a client shows it only until the routine ends.
 * Such a row is internal, but its id is not kept.
 */
export class InternalThreadHistory {
  /** The last two runs of each node, the latest first. After a failover and back, the history of the first server is valid again. */
  readonly #known = new Map<string, readonly Known[]>();
  /** The last selection, for requests that share a list. A weak map would keep older lists for longer. */
  #selection: Selection | undefined;

  /** Returns the user sessions of a list, and keeps the ids that the list proves internal. */
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
    // A partial list, or a list older than the last one, does not show which ids are gone.
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

/** Returns true if a row shows that its session logged in with an internal account. */
function hasInternalLogin(row: ProcessListRow, rules: Rules): boolean {
  const login = loginUserOf(row);
  return login !== undefined && reasonOfUser(login.toLowerCase(), rules) !== undefined;
}

/** Returns true if a row proves that its thread serves no client. */
function isProvenThread(row: ProcessListRow, { requireClientPort }: Rules): boolean {
  const { thread } = row;
  const host = row.host ?? '';
  const user = row.user?.toLowerCase();
  const command = row.command?.toLowerCase() ?? '';
  if (thread !== undefined && isServerThread(thread.name)) return true;
  if (!isAtRest(row) && isProvenReplicating(row)) return true;
  const isOverNetwork = clientPort(host) !== undefined || isCutHost(host) || isNetworkClient(row);
  const isSocketClient = host === 'localhost' && !requireClientPort;
  // An event worker stays in `Connect`. A client passes through `Connect` while it logs in.
  const isLoggingIn = command === 'connect' && (isOverNetwork || isSocketClient);
  if (user === 'unauthenticated user' || isLoggingIn) return false;
  if (thread !== undefined && !servesClient(thread)) return true;
  if (command !== '' && isInternalCommand(command)) return true;
  return user === 'system user' && !isOverNetwork && host !== 'localhost';
}
