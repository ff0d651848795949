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

/** The settings that decide which rows of a process list are user sessions. A row passes only if it is provably a client's. */
export interface ClientFilter {
  /** The ids of our control connections, including the one that read the list. After a reload some can be under another account. */
  readonly ownIds: ReadonlySet<bigint>;
  /** The account of the control connection. Every session of this account is ours, from any host. */
  readonly controlAccount: string;
  /** Configured internal accounts, in addition to the built-in ones. */
  readonly internalUsers: readonly string[];
  /** If false, sessions on the node's Unix socket (host `localhost`, no port) count as clients too. */
  readonly requireClientPort: boolean;
  /** Ids, in decimal, of threads that earlier lists of this incarnation proved internal. They can show an ordinary account now. */
  readonly knownInternal?: ReadonlySet<string> | undefined;
  /**
   * Ids, in decimal, of sessions whose own account is internal. Inside a routine of another account, such a session shows the other
   * account.
   */
  readonly ofInternalUsers?: ReadonlySet<string> | undefined;
}

/** The reason why a row is not a user session. */
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
 * Returns why a row is an internal thread, or undefined if the row is provably a user session. A row that the filter does not understand
 * is internal. This judgement alone decides which rows a KILL may end.
 */
export function internalReason(
  row: ProcessListRow,
  filter: ClientFilter,
): InternalReason | undefined {
  if (!hasNumber(row) || row.id.startsWith('0')) return 'bad_id';
  return judgeOf(filter)(row);
}

/**
 * Returns a function that judges rows as `internalReason` does. Its callers pass the rows by ascending id. Each account and each command is
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

/** Returns the number of rows that are internal only because the node cut their host, and with it the port. */
export function countCutHosts(rows: readonly ProcessListRow[], filter: ClientFilter): number {
  return rows.filter(
    (row) => isCutHost(row.host ?? '') && internalReason(row, filter) === 'no_client_endpoint',
  ).length;
}

/** Returns the user sessions of a process list. If the list shows an id twice, neither row is a session. */
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

/** Returns why an account is internal, or undefined for an ordinary account. The account must be in lower case. */
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
  // MariaDB drops the port of a long host name. MySQL's `performance_schema` shows no port for an X Protocol client.
  if (isNetworkClient(row)) return true;
  // Only its command distinguishes an event worker with a definer at localhost from a socket client. `Killed` hides the command.
  return host === 'localhost' && !filter.requireClientPort && command?.toLowerCase() !== 'killed';
}

/** Returns true if the thread of a row proves a network client, even if the host has no port. */
export function isNetworkClient({ host, thread }: ProcessListRow): boolean {
  // An event worker shows the host of its definer, which can be any host. Only its thread excludes a client.
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
