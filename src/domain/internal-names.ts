import type { ServerThread } from './session.ts';

/**
 * Accounts that serve no client: the servers' own, and those of the clouds that host them.
 * `root` and `aurora` belong to people on most fleets, so they are not here.
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

/** The prefix of the accounts of MySQL and Percona themselves: `mysql.session`, `mysql.infoschema`, `mysql.pxc.sst.user`. */
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

/** Returns true if a command, in lower case, is one that no client session has. */
export function isInternalCommand(command: string): boolean {
  if (command === '' || INTERNAL_COMMANDS.has(command)) return true;
  return INTERNAL_COMMAND_PREFIXES.some((prefix) => command.startsWith(prefix));
}

/** Returns true if an account, in lower case, is one of the built-in ones that serve no client. */
export function isInternalUser(user: string): boolean {
  return user === '' || user.startsWith(INTERNAL_USER_PREFIX) || INTERNAL_USERS.has(user);
}

/** The parts behind a slash in the names of threads that serve no client: `thread/sql/replica_worker`, `thread/group_rpl/…`. */
const SERVER_THREAD =
  /\/(?:binlog|bootstrap|clone|compress_gtid|delayed|event|group_rpl|main$|manager|replica|rpl|semisync|signal|slave)/i;

/** Threads of clients: of the classic protocol (also in most thread pools) and of the X Protocol. */
const CLIENT_THREADS: readonly string[] = ['thread/sql/one_connection', 'thread/mysqlx/worker'];
/** A client's thread in the thread pool of MySQL Enterprise. */
const POOL_THREAD = 'thread/thread_pool/tp_one_connection';

/** Returns true if a thread serves a client: the server shows a kind of connection for it. */
export function servesClient({ name, connectionType }: ServerThread): boolean {
  if (isServerThread(name)) return false;
  return name === POOL_THREAD || (connectionType !== null && connectionType !== '');
}

/** Returns true if threads of this name never serve a client. */
export function isServerThread(name: string): boolean {
  return SERVER_THREAD.test(name);
}

/** Returns true if a thread proves that it serves a client which is not on the Unix socket. */
export function isOverNetwork({ name, connectionType }: ServerThread): boolean {
  const isOfClient = name === POOL_THREAD || CLIENT_THREADS.includes(name);
  return isOfClient && /^(?:TCP\/IP|SSL\/TLS)$/.test(connectionType ?? '');
}
