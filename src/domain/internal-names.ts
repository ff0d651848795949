import type { ProcessListRow, ServerThread } from './session.ts';

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

/** The prefix of accounts that MySQL and Percona reserve: `mysql.session`, `mysql.infoschema`, `mysql.pxc.sst.user`. */
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

/** Returns true if no client session has this command. The command must be in lower case. */
export function isInternalCommand(command: string): boolean {
  if (command === '' || INTERNAL_COMMANDS.has(command)) return true;
  return INTERNAL_COMMAND_PREFIXES.some((prefix) => command.startsWith(prefix));
}

/** Returns true for a built-in account that serves no client. The account must be in lower case. */
export function isInternalUser(user: string): boolean {
  return user === '' || user.startsWith(INTERNAL_USER_PREFIX) || INTERNAL_USERS.has(user);
}

/** Matches names of threads that serve no client: `thread/sql/replica_worker`, `thread/group_rpl/…`. */
const SERVER_THREAD =
  /\/(?:binlog|bootstrap|clone|compress_gtid|delayed|event|group_rpl|main$|manager|replica|rpl|semisync|signal|slave)/i;

/** The client threads of the classic protocol (also in most thread pools) and of the X Protocol. */
const CLIENT_THREADS: readonly string[] = ['thread/sql/one_connection', 'thread/mysqlx/worker'];
/** A client's thread in the thread pool of MySQL Enterprise. */
const POOL_THREAD = 'thread/thread_pool/tp_one_connection';

/** Returns true if a thread serves a client. It has a connection type, or is a client thread of the Enterprise thread pool. */
export function servesClient({ name, connectionType }: ServerThread): boolean {
  if (isServerThread(name)) return false;
  return name === POOL_THREAD || (connectionType !== null && connectionType !== '');
}

/** Returns true if threads of this name never serve a client. */
export function isServerThread(name: string): boolean {
  // Nearly all rows of a long list: the pattern takes far longer.
  return !CLIENT_THREADS.includes(name) && SERVER_THREAD.test(name);
}

/** Returns true if a thread surely serves a client that is not on the Unix socket. */
export function isOverNetwork({ name, connectionType }: ServerThread): boolean {
  const isOfClient = name === POOL_THREAD || CLIENT_THREADS.includes(name);
  return isOfClient && /^(?:TCP\/IP|SSL\/TLS)$/.test(connectionType ?? '');
}

/**
 * States that only replication threads have, in lower case and in the spelling of MySQL 5.6. Some are prefixes, because versions end them
 * differently. A client that waits for a replica has other states, such as `waiting for the slave sql thread to advance position`.
 * Sources: the stages in mysqld.cc of MySQL 5.6 to 9.7 and of MariaDB 10.5 to 11.8; both manuals, replication thread states.
 */
const SOURCE_STATES = [
  ...['master has sent all binlog to slave', 'has sent all binlog to slave'],
  ...['sending binlog event to slave', 'finished reading one binlog; switching to next binlog'],
  ...['waiting to finalize termination', 'connection delegated to group replication'],
  ...['waiting for semi-sync slave connection', 'reading semi-sync ack from slave'],
] as const;

const REPLICA_STATES = [
  // The receiver.
  ...['waiting for master update', 'connecting to master', 'checking master version'],
  ...['registering slave on master', 'requesting binlog dump', 'waiting for master to send event'],
  ...['queueing master event to the relay log', 'waiting to reconnect after a failed '],
  ...['reconnecting after a failed ', 'waiting for the slave sql thread to free '],
  ...['waiting for slave mutex on exit', 'fetching master member details from connected master'],
  ...['updating fetched master member details on receiver'],
  ...['wait before trying to fetch next membership changes from master'],
  // The coordinator, or the only applier.
  ...[
    'slave has read all relay log; ',
    'has read all relay log; ',
    'reading event from the relay log',
  ],
  ...['waiting for the next event in relay log', 'waiting until master_delay seconds after '],
  ...['waiting for slave workers to ', 'waiting for slave worker ', 'waiting for workers to exit'],
  ...['making temporary file', 'slave sql thread ending', 'waiting for worker threads to be idle'],
  ...['waiting for room in worker thread event queue'],
  // The workers.
  ...['waiting for an event from coordinator', 'waiting for an event from sql thread'],
  ...['executing event', 'applying batch of row changes ('],
  ...['waiting for preceding transaction to commit', 'waiting for its turn to commit'],
  ...['waiting for dependent transaction to commit', 'waiting for work from '],
  ...['waiting for prior transaction to start commit'],
  ...['waiting for other master connection to process '],
  ...['waiting for parallel replication deadlock handling to complete'],
] as const;

const SOURCE_STATE = patternOf(SOURCE_STATES);
const REPLICA_STATE = patternOf(REPLICA_STATES);

/** Matches white space and comments. Each text has one way to match, so the time stays linear. */
const BLANKS = String.raw`(?:\s|/\*(?:[^*]|\*(?!/))*\*/|(?:#|--(?=\s))[^\n]*\n)*`;
/** Matches a BINLOG statement. A client that replays the output of mysqlbinlog applies rows as a worker does. */
const PLAYS_BINLOG = new RegExp(String.raw`^${BLANKS}binlog\b`, 'i');
/** Matches a text that ends before the end of its first word: inside a comment, or inside `binlog`. */
const ENDS_EARLY = new RegExp(
  String.raw`^${BLANKS}(?:/|-|--|/\*(?:[^*]|\*(?!/))*|(?:#|--(?=\s))[^\n]*|b|bi|bin|binl|binlo)?$`,
  'i',
);
/** A node cuts a statement at 100 bytes. A character that is cut in two can be missing: at most 3 bytes of it. */
const MAX_UNCUT_BYTES = 96;

/**
 * Returns true if no client session can have the state of this row. A binlog dump runs in a client's thread, so its states count for
 * every thread.
 */
export function isReplicating({ state, info, thread }: ProcessListRow): boolean {
  const shown = state ?? '';
  if (SOURCE_STATE.test(shown)) return true;
  if (thread !== undefined && servesClient(thread)) return false;
  return REPLICA_STATE.test(shown) && !PLAYS_BINLOG.test(info ?? '');
}

/** Returns true if a row has such a state and surely runs no BINLOG of a client. Comments can push the word BINLOG behind the cut. */
export function isProvenReplicating(row: ProcessListRow): boolean {
  if (!isReplicating(row)) return false;
  const info = row.info ?? '';
  return Buffer.byteLength(info) <= MAX_UNCUT_BYTES || !ENDS_EARLY.test(info);
}

/** Returns a pattern for these states, also in their later spelling: `replica` for `slave`, `source` for `master`. */
function patternOf(states: readonly string[]): RegExp {
  const either = states
    .join('|')
    .replaceAll('(', '\\(')
    .replaceAll('slave', '(?:slave|replica)')
    .replaceAll('master', '(?:master|source)');
  return new RegExp(`^(?:${either})`, 'i');
}
