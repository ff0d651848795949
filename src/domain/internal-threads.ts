import { isReplicating } from './replication-states.ts';
import { isOverNetwork, servesClient } from './server-thread.ts';
import { clientPort, isCutHost, type ProcessListRow } from './session.ts';
import { compareIds, UserSessions, type ListedRow } from './user-sessions.ts';

/** What the guard must know besides the row. */
export interface Guard {
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
 * Accounts that serve no client: the servers' own, and those of the clouds that host them.
 * `root` and `aurora` are people on most fleets, so they are not here.
 * Sources: sql_show.cc of MySQL and MariaDB for the first three; the servers' reserved accounts;
 * the clouds' documentation for the rest.
 */
const INTERNAL_USERS: ReadonlySet<string> = new Set([
  ...['system user', 'event_scheduler', 'unauthenticated user', 'delayed', 'mariadb.sys'],
  ...['rdsadmin', 'rdsrepladmin', 'rdsrepladmin_priv_checks_user', 'rdsgrprepladmin'],
  ...['rdsproxyadmin', 'rdstopmgr', 'rdshm'],
  ...['rdsbackup', 'rdsmetric', 'rdsrepl', 'rdsproxy', 'dsc_readonly', 'drsfull', 'drsincremental'],
  ...['aliyun_root', 'aurora_proxy', 'rds_service', 'replicator'],
  ...['ociadmin', 'ocimonitor', 'ocirpl', 'ocidbm', 'ocirest', 'oracle-cloud-agent', 'rrhhuser'],
  ...['azure_superuser', 'cloudsqladmin', 'cloudsqlreplica', 'cloudsqlapplier'],
  ...['cloudsqlimport', 'cloudsqlexport', 'cloudsqloneshot', 'cloudsqlobservabilityadmin'],
]);

/** MySQL and Percona name their own accounts so: `mysql.session`, `mysql.infoschema`, `mysql.pxc.sst.user`. */
const INTERNAL_USER_PREFIX = 'mysql.';

const INTERNAL_COMMANDS: ReadonlySet<string> = new Set([
  'daemon',
  'connect',
  'connect out',
  'table dump',
  'delayed insert',
  'clone',
]);

const INTERNAL_COMMAND_PREFIXES = [
  'binlog dump',
  'slave',
  'replica',
  'register ',
  'group replication',
] as const;

/**
 * Why a row is an internal thread, or undefined when it is provably a user session: the one question that decides
 * what may be killed. What it cannot make sense of is internal.
 */
export function internalReason(row: ProcessListRow, guard: Guard): InternalReason | undefined {
  if (!hasNumber(row) || row.id.startsWith('0')) return 'bad_id';
  return judgeOf(guard)(row);
}

/**
 * Says of rows of a list, by ascending id, why they are internal, as `internalReason` does; accounts and commands that come again are
 * judged once.
 */
function judgeOf(guard: Guard): (row: ListedRow) => InternalReason | undefined {
  const isOurs = among([...guard.ownIds].map((id) => id.toString()));
  const isKnown = among([...(guard.knownInternal ?? [])]);
  const isOfInternalUser = among([...(guard.ofInternalUsers ?? [])]);
  const byUser = cached((user) => reasonOfUser(user.toLowerCase(), guard));
  const byCommand = cached((command) => isInternalCommand(command.toLowerCase()));
  return (row) => {
    const { id } = row;
    if (isTooHigh(id)) return 'bad_id';
    if (isOurs(id)) return 'own_connection';
    if (isKnown(id)) return 'known_internal';
    if (isOfInternalUser(id) && !isAtRest(row)) return 'known_internal';
    const reason = byUser(row.user ?? '');
    if (reason !== undefined) return reason;
    if (byCommand(row.command ?? '')) return 'internal_command';
    if (!isClientEndpoint(row, guard)) return 'no_client_endpoint';
    if (!isAtRest(row) && isReplicating(row)) return 'replication_state';
    if (row.thread !== undefined && !servesClient(row.thread)) return 'second_opinion';
    return undefined;
  };
}

/** Returns how many rows of a list are internal only because the node has cut their host, and with it their port. */
export function countCutHosts(rows: readonly ProcessListRow[], guard: Guard): number {
  return rows.filter(
    (row) => isCutHost(row.host ?? '') && internalReason(row, guard) === 'no_client_endpoint',
  ).length;
}

/** The user sessions of a process list. An id that the list shows twice is nobody's: neither row is a session. */
export function userSessions(rows: readonly ProcessListRow[], guard: Guard): UserSessions {
  const judge = judgeOf(guard);
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

function hasNumber(row: ProcessListRow): row is ListedRow {
  return row.id !== null && isNumber(row.id);
}

// The highest is 2^64-1; of two numbers with as many digits the texts compare alike.
function isTooHigh(id: string): boolean {
  return id.length >= 20 && id > '18446744073709551615';
}

/** Whether an id is among these; asked by ascending id. A set would have to hash each of ten thousand. */
function among(ids: string[]): (id: string) => boolean {
  const ascending = ids.sort(compareIds);
  let next = 0;
  return (id) => {
    for (; next < ascending.length; next += 1) {
      const order = compareIds(ascending[next] ?? '', id);
      if (order >= 0) return order === 0;
    }
    return false;
  };
}

/** Whether it is 1 to 20 digits. One by one: a regular expression takes longer, and long lists have ten thousand ids. */
function isNumber(id: string): boolean {
  if (id.length === 0 || id.length > 20) return false;
  for (let index = 0; index < id.length; index += 1) {
    const code = id.charCodeAt(index);
    if (code < 48 || code > 57) return false;
  }
  return true;
}

/** Returns why an account, in lower case, is internal; undefined if it is an ordinary one. */
export function reasonOfUser(
  user: string,
  guard: Pick<Guard, 'controlAccount' | 'internalUsers'>,
): InternalReason | undefined {
  if (user === guard.controlAccount.toLowerCase()) return 'control_account';
  if (user === '' || user.startsWith(INTERNAL_USER_PREFIX) || INTERNAL_USERS.has(user)) {
    return 'internal_user';
  }
  const isConfigured = guard.internalUsers.some((internal) => internal.toLowerCase() === user);
  return isConfigured ? 'internal_user' : undefined;
}

/**
 * True if a session waits for its next statement. Then it is in no routine, and shows its own account; nor is it in a state of
 * replication, which takes longer to read.
 */
export function isAtRest({ command }: ProcessListRow): boolean {
  return command?.toLowerCase() === 'sleep';
}

/** True if a command, in lower case, is one that no client session has. */
export function isInternalCommand(command: string): boolean {
  if (command === '' || INTERNAL_COMMANDS.has(command)) return true;
  return INTERNAL_COMMAND_PREFIXES.some((prefix) => command.startsWith(prefix));
}

function isClientEndpoint({ host, command, thread }: ProcessListRow, guard: Guard): boolean {
  // `Killed` hides the command that would tell an event worker of a definer at localhost from a client of the socket.
  if (host === 'localhost') return !guard.requireClientPort && command?.toLowerCase() !== 'killed';
  if (clientPort(host ?? '') !== undefined) return true;
  // An event worker's definer can have such a host too: only its thread shows that it serves no client.
  return isCutHost(host ?? '') && thread !== undefined && isOverNetwork(thread);
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
