import { clientPort, sessionOf, type ProcessListRow, type Session } from './session.ts';

/** What the guard must know besides the row. */
export interface Guard {
  /** The id of the control connection that read the list. */
  readonly ownId: bigint;
  /** The account of the control connection: every session under it is ours, from whichever host. */
  readonly controlAccount: string;
  /** Configured accounts, in addition to the built-in ones. */
  readonly internalUsers: readonly string[];
  /** False also lets sessions of the node's Unix socket (host `localhost`, no port) count as clients. */
  readonly requireClientPort: boolean;
  /** Ids that were internal before in this incarnation: a thread can show itself as an ordinary account for a while. */
  readonly knownInternal?: ReadonlySet<bigint>;
}

/** Why a row is not a user session. */
export type InternalReason =
  | 'bad_id'
  | 'own_connection'
  | 'control_account'
  | 'known_internal'
  | 'internal_user'
  | 'internal_command'
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
  if (row.id === null || !/^[1-9]\d{0,19}$/.test(row.id)) return 'bad_id';
  const id = BigInt(row.id);
  if (id >= 2n ** 64n) return 'bad_id';
  if (id === guard.ownId) return 'own_connection';
  if (guard.knownInternal?.has(id) === true) return 'known_internal';
  const user = (row.user ?? '').toLowerCase();
  if (user === guard.controlAccount.toLowerCase()) return 'control_account';
  if (isInternalUser(user, guard)) return 'internal_user';
  const command = (row.command ?? '').toLowerCase();
  if (isInternalCommand(command)) return 'internal_command';
  if (!isClientEndpoint(row.host ?? '', command, guard)) return 'no_client_endpoint';
  if (row.isClient === false) return 'second_opinion';
  return undefined;
}

/** The user sessions of a process list by id. An id that the list shows twice is nobody's: neither row is a session. */
export function userSessions(
  rows: readonly ProcessListRow[],
  guard: Guard,
): ReadonlyMap<bigint, Session> {
  const sessions = new Map<bigint, Session>();
  const seen = new Set<bigint>();
  for (const row of rows) {
    if (!hasReadableId(row)) continue;
    const session = sessionOf(row);
    const isRepeated = seen.has(session.id);
    seen.add(session.id);
    if (isRepeated) sessions.delete(session.id);
    else if (internalReason(row, guard) === undefined) sessions.set(session.id, session);
  }
  return sessions;
}

function hasReadableId(row: ProcessListRow): row is ProcessListRow & { readonly id: string } {
  return row.id !== null && /^\d{1,20}$/.test(row.id);
}

function isInternalUser(user: string, guard: Guard): boolean {
  if (user === '' || user.startsWith(INTERNAL_USER_PREFIX) || INTERNAL_USERS.has(user)) return true;
  return guard.internalUsers.some((internal) => internal.toLowerCase() === user);
}

function isInternalCommand(command: string): boolean {
  if (command === '' || INTERNAL_COMMANDS.has(command)) return true;
  return INTERNAL_COMMAND_PREFIXES.some((prefix) => command.startsWith(prefix));
}

function isClientEndpoint(host: string, command: string, guard: Guard): boolean {
  // `Killed` hides the command that would tell an event worker of a definer at localhost from a client of the socket.
  if (host === 'localhost') return !guard.requireClientPort && command !== 'killed';
  return clientPort(host) !== undefined;
}
