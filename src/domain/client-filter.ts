import {
  isInternalCommand,
  isInternalUser,
  isOverNetwork,
  isReplicating,
  servesClient,
} from './internal-names.ts';
import { clientPort, isCutHost, type ProcessListRow } from './session.ts';
import {
  among,
  compareIds,
  hasNumber,
  isAtRest,
  isTooHigh,
  loginUserOf,
  UserSessions,
  type ListedRow,
} from './user-sessions.ts';

/** The settings by which rows of a process list are judged: only what is provably a client's session passes. */
export interface ClientFilter {
  /** The ids of our control connections, the one included that read the list: after a reload some can be under another account. */
  readonly ownIds: ReadonlySet<bigint>;
  /** The account of the control connection: every session under it is ours, from whichever host. */
  readonly controlAccount: string;
  /** Configured accounts, in addition to the built-in ones. */
  readonly internalUsers: readonly string[];
  /** False also lets sessions of the node's Unix socket (host `localhost`, no port) count as clients. */
  readonly requireClientPort: boolean;
  /** Ids, in decimal, of threads that were proven internal before in this incarnation: they can show an ordinary account for a while. */
  readonly knownInternal?: ReadonlySet<string> | undefined;
  /** Ids, in decimal, of sessions whose own account is internal: inside a routine of another account they show that one. */
  readonly ofInternalUsers?: ReadonlySet<string> | undefined;
}

/** Why a row is not a user session. */
export type InternalReason =
  | 'bad_id'
  | 'own_connection'
  | 'control_account'
  | 'known_internal'
  | 'internal_user'
  | 'internal_command'
  | 'replication_state'
  | 'no_client_endpoint'
  | 'second_opinion';

/**
 * Why a row is an internal thread, or undefined when it is provably a user session: the one question that decides
 * what may be killed. What it cannot make sense of is internal.
 */
export function internalReason(
  row: ProcessListRow,
  filter: ClientFilter,
): InternalReason | undefined {
  if (!hasNumber(row) || row.id.startsWith('0')) return 'bad_id';
  return judgeOf(filter)(row);
}

/**
 * Says of rows of a list, by ascending id, why they are internal, as `internalReason` does; accounts and commands that come again are
 * judged once.
 */
function judgeOf(filter: ClientFilter): (row: ListedRow) => InternalReason | undefined {
  const isOurs = among([...filter.ownIds].map((id) => id.toString()));
  const isKnown = among([...(filter.knownInternal ?? [])]);
  const isOfInternalUser = among([...(filter.ofInternalUsers ?? [])]);
  const byUser = cached((user) => reasonOfUser(user.toLowerCase(), filter));
  const byCommand = cached((command) => isInternalCommand(command.toLowerCase()));
  return (row) => {
    const { id } = row;
    if (isTooHigh(id)) return 'bad_id';
    if (isOurs(id)) return 'own_connection';
    if (isKnown(id)) return 'known_internal';
    if (isOfInternalUser(id) && !isAtRest(row)) return 'known_internal';
    const reason = byUser(row.user ?? '');
    if (reason !== undefined) return reason;
    const login = loginUserOf(row);
    const reasonOfLogin = login === undefined ? undefined : byUser(login);
    if (reasonOfLogin !== undefined) return reasonOfLogin;
    if (byCommand(row.command ?? '')) return 'internal_command';
    if (!isClientEndpoint(row, filter)) return 'no_client_endpoint';
    if (!isAtRest(row) && isReplicating(row)) return 'replication_state';
    if (row.thread !== undefined && !servesClient(row.thread)) return 'second_opinion';
    return undefined;
  };
}

/** Returns how many rows of a list are internal only because the node has cut their host, and with it their port. */
export function countCutHosts(rows: readonly ProcessListRow[], filter: ClientFilter): number {
  return rows.filter(
    (row) => isCutHost(row.host ?? '') && internalReason(row, filter) === 'no_client_endpoint',
  ).length;
}

/** The user sessions of a process list. An id that the list shows twice is nobody's: neither row is a session. */
export function userSessions(rows: readonly ProcessListRow[], filter: ClientFilter): UserSessions {
  const judge = judgeOf(filter);
  const others: ProcessListRow[] = [];
  const numbered: ListedRow[] = [];
  const withZeros = new Set<string>();
  let isInOrder = true;
  let last = '';
  for (const row of rows) {
    if (!hasNumber(row)) others.push(row);
    else if (row.id.startsWith('0')) {
      others.push(row);
      withZeros.add(BigInt(row.id).toString());
    } else {
      isInOrder &&= compareIds(last, row.id) <= 0;
      last = row.id;
      numbered.push(row);
    }
  }
  if (!isInOrder) numbered.sort((one, other) => compareIds(one.id, other.id));
  const found: ListedRow[] = [];
  const isAlone = ({ id }: ListedRow, index: number): boolean =>
    id !== numbered[index - 1]?.id &&
    id !== numbered[index + 1]?.id &&
    (withZeros.size === 0 || !withZeros.has(id));
  numbered.forEach((row, index) => {
    if (isAlone(row, index) && judge(row) === undefined) found.push(row);
    else others.push(row);
  });
  return new UserSessions(found, others);
}

/** Returns why an account, in lower case, is internal; undefined if it is an ordinary one. */
export function reasonOfUser(
  user: string,
  filter: Pick<ClientFilter, 'controlAccount' | 'internalUsers'>,
): InternalReason | undefined {
  if (user === filter.controlAccount.toLowerCase()) return 'control_account';
  if (isInternalUser(user)) return 'internal_user';
  const isConfigured = filter.internalUsers.some((internal) => internal.toLowerCase() === user);
  return isConfigured ? 'internal_user' : undefined;
}

function isClientEndpoint(row: ProcessListRow, filter: ClientFilter): boolean {
  const { host, command } = row;
  if (clientPort(host ?? '') !== undefined) return true;
  // MariaDB drops the port of a long name, and MySQL's `performance_schema` has none of an X Protocol client.
  if (isNetworkClient(row)) return true;
  // `Killed` hides the command, by which an event worker of a definer at localhost differs from a client of the socket.
  return host === 'localhost' && !filter.requireClientPort && command?.toLowerCase() !== 'killed';
}

/** True if a thread proves a client over the network behind a host that may have no port. */
export function isNetworkClient({ host, thread }: ProcessListRow): boolean {
  // An event worker's definer can have any host: only its thread shows that it serves no client.
  return (host ?? '') !== '' && thread !== undefined && isOverNetwork(thread);
}

function cached<T>(judge: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  let last: { readonly text: string; readonly found: T } | undefined;
  return (text) => {
    if (last?.text === text) return last.found;
    const found = known.has(text) ? (known.get(text) as T) : judge(text);
    known.set(text, found);
    last = { text, found };
    return found;
  };
}
