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

/** True if a command, in lower case, is one that no client session has. */
export function isInternalCommand(command: string): boolean {
  if (command === '' || INTERNAL_COMMANDS.has(command)) return true;
  return INTERNAL_COMMAND_PREFIXES.some((prefix) => command.startsWith(prefix));
}

/** True if an account, in lower case, is one of the built-in ones that serve no client. */
export function isInternalUser(user: string): boolean {
  return user === '' || user.startsWith(INTERNAL_USER_PREFIX) || INTERNAL_USERS.has(user);
}
