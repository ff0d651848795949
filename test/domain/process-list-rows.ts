import type { ClientFilter, InternalReason } from '../../src/domain/client-filter.ts';
import type { ProcessListRow } from '../../src/domain/session.ts';

export type Classification = 'user session' | InternalReason;

/** One row as a real server shows it, and its classification. */
export interface RowCase {
  readonly shows: string;
  /** The server that showed the row, or the document that describes it. */
  readonly source: string;
  readonly row: ProcessListRow;
  /** The differences from the strictest filter. */
  readonly filter?: Partial<ClientFilter>;
  readonly is: Classification;
}

/** Returns a row from a line of a command line client: Id, User, Host, db, Command, Time, State, Info. */
export function printed(line: string): ProcessListRow {
  const [id, user, host, db, command, time, state, info] = line
    .split('|')
    .slice(1, -1)
    .map((cell) => (cell.trim() === 'NULL' ? null : cell.trim()));
  if (info === undefined) throw new Error(`Not a row of eight columns: ${line}`);
  return {
    id: id ?? null,
    user: user ?? null,
    host: host ?? null,
    db: db ?? null,
    command: command ?? null,
    time: time ?? null,
    state: state ?? null,
    info,
  };
}

/** Returns an ordinary client over TCP, with these columns changed. */
export function client(differently: Partial<ProcessListRow> = {}): ProcessListRow {
  const row = printed('| 8 | app | 10.0.0.5:51358 | shop | Sleep | 12 | | NULL |');
  return { ...row, ...differently };
}

const SOCKETS_TOO: Partial<ClientFilter> = { requireClientPort: false };

const MYSQL_56 = 'MySQL 5.6.24, measured';
const MYSQL_97 = 'MySQL 9.7.4, measured';
const MARIADB_105 = 'MariaDB 10.5.29, measured';
const MARIADB_1011 = 'MariaDB 10.11.19, measured';
const MARIADB_118 = 'MariaDB 11.8.9, measured';
const PERFORMANCE_SCHEMA = 'MySQL 9.7.4 performance_schema.processlist, measured';
const MANUAL_57 = 'MySQL 5.7 Reference Manual, SHOW PROCESSLIST';
const COMMANDS_57 = 'MySQL 5.7 Reference Manual, Thread Command Values';
const COMMANDS_80 = 'MySQL 8.0 sql_parse.cc, Command_names';
const COMMANDS_MARIADB = 'MariaDB 10.11 sql_parse.cc, command_name';
const LIST_80 = 'MySQL 8.0 sql_show.cc, fill_schema_processlist';
const LIST_MARIADB = 'MariaDB 10.11 sql_show.cc, fill_schema_processlist';
const TIDB = 'TiDB util/processinfo.go, ToRowForShow';
const TIDB_IDS = 'TiDB util/globalconn, GCID';
const AURORA_REPLICATION = 'Amazon Aurora user guide, privilege checks user';
const ALIBABA = 'Alibaba Cloud ApsaraDB RDS for MySQL documentation, system accounts';
const CONTRACT = 'Huawei Cloud TaurusDB API, processes are int64';
const KILL = 'MySQL and MariaDB, KILL takes any expression';
const DEFENSIVE = 'no server is known to show it';

const CLIENTS: readonly RowCase[] = [
  {
    shows: 'a client of TiDB over IPv6',
    source: TIDB,
    row: client({ host: '[fd00::2]:51358' }),
    is: 'user session',
  },
  {
    shows: 'a client from a link-local address',
    source: MYSQL_97,
    row: client({ host: 'fe80::fc:ff:fe00:1%eth0:52262' }),
    is: 'user session',
  },
  {
    shows: 'an idle client',
    source: MYSQL_56,
    row: printed('| 3 | app | 127.0.0.1:40112 | shop | Sleep | 41 | | NULL |'),
    is: 'user session',
  },
  {
    shows: 'a client whose host name the server resolved',
    source: 'MySQL 8.0 Reference Manual, The processlist Table',
    row: printed('| 9 | me | localhost:58812 | NULL | Sleep | 95 | | NULL |'),
    is: 'user session',
  },
  {
    shows: 'a DBA as root',
    source: MYSQL_97,
    row: printed('| 27 | root | 127.0.0.1:37190 | NULL | Query | 0 | init | show processlist |'),
    is: 'user session',
  },
  {
    shows: 'a client that waits for a lock',
    source: 'MySQL 8.4 Reference Manual, General Thread States',
    row: printed(
      '| 71 | app | 10.0.0.5:40822 | shop | Query | 93 | Waiting for table metadata lock | ALTER TABLE t |',
    ),
    is: 'user session',
  },
  {
    shows: 'a client by its fully qualified name',
    source: 'MySQL 8.4 Reference Manual, DNS Lookups and the Host Cache',
    row: printed('| 12 | app | web-1.shop.example.com:60112 | shop | Sleep | 3 | | NULL |'),
    is: 'user session',
  },
  {
    shows: 'a client under a server with a Progress column',
    source: MARIADB_105,
    row: printed('| 8 | app | 127.0.0.1:46790 | NULL | Sleep | 3 | | NULL |'),
    is: 'user session',
  },
  {
    shows: 'an idle client',
    source: MARIADB_118,
    row: printed('| 5 | app | 127.0.0.1:35206 | shop | Sleep | 7 | | NULL |'),
    is: 'user session',
  },
  {
    shows: 'a client whose statement contains an internal command',
    source: MYSQL_97,
    row: printed(
      '| 31 | app | 10.0.0.5:51358 | shop | Query | 0 | executing | Binlog Dump GTID, system user |',
    ),
    is: 'user session',
  },
  {
    shows: 'a client of ::1',
    source: MARIADB_1011,
    row: printed('| 7 | v6 | ::1:50832 | NULL | Query | 0 | starting | show processlist |'),
    is: 'user session',
  },
  {
    shows: 'a client with a compressed IPv6 address',
    source: MYSQL_97,
    row: printed('| 141 | v6 | fd00::2:54856 | NULL | Query | 0 | init | show processlist |'),
    is: 'user session',
  },
  {
    shows: 'a client with an uncompressed IPv6 address, from any port',
    source: 'getnameinfo(3), NI_NUMERICHOST',
    row: client({ host: '2001:db8:0:1:1:1:1:1:3306' }),
    is: 'user session',
  },
  {
    shows: 'a client with an IPv4 address in IPv6 form',
    source: 'getnameinfo(3), NI_NUMERICHOST',
    row: client({ host: '::ffff:10.0.0.5:3306' }),
    is: 'user session',
  },
  {
    shows: 'an idle X Protocol client',
    source: MYSQL_97,
    row: printed('| 173 | xu | 127.0.0.1:38484 | NULL | Sleep | 0 | NULL | PLUGIN |'),
    is: 'user session',
  },
  {
    shows: 'an X Protocol client that runs a statement',
    source: MYSQL_97,
    row: printed(
      '| 173 | xu | 127.0.0.1:38484 | NULL | Query | 0 | User sleep | PLUGIN: select sleep(5) |',
    ),
    is: 'user session',
  },
  {
    shows: 'a client that receives a clone of another server',
    source: MYSQL_97,
    row: printed('| 10 | root | 127.0.0.1:48090 | NULL | Query | 4 | closing tables | NULL |'),
    is: 'user session',
  },
  {
    shows: 'a client that waits for a delayed insert',
    source: MARIADB_1011,
    row: printed(
      '| 23 | cl | 127.0.0.1:42204 | NULL | Query | 1 | Waiting for table metadata lock | insert delayed into m |',
    ),
    is: 'user session',
  },
  {
    shows: 'a DBA whose account is named aurora',
    source: 'Alibaba Cloud documentation, but a person on most fleets',
    row: client({ user: 'aurora' }),
    is: 'user session',
  },
  {
    shows: 'a client whose account starts like an internal one',
    source: 'MySQL 8.0 Reference Manual, Account Names',
    row: client({ user: 'replicator2' }),
    is: 'user session',
  },
  {
    shows: 'a client with the longest user name, not ASCII',
    source: 'MySQL 8.0 Reference Manual, Account Names',
    row: client({ user: 'größenänderungsbeauftragte-東京-01' }),
    is: 'user session',
  },
  {
    shows: 'a client without a database, state or statement',
    source: LIST_80,
    row: client({ db: null, time: null, state: null, info: null }),
    is: 'user session',
  },
];

const DEFINER_ROUTINES: readonly RowCase[] = [
  {
    shows: "a client in a routine of app@localhost, listed under the definer's name and host",
    source: MYSQL_97,
    row: printed('| 183 | app | localhost:60710 | d | Query | 2 | User sleep | do sleep(8) |'),
    is: 'user session',
  },
  {
    shows: 'a client in a routine of app@localhost',
    source: MARIADB_1011,
    row: printed('| 25 | app | localhost:42218 | d2 | Query | 1 | User sleep | do sleep(6) |'),
    is: 'user session',
  },
  {
    shows: 'a client in a routine whose definer may come from anywhere',
    source: MYSQL_97,
    row: printed('| 201 | a1 | %:53786 | d | Query | 1 | User sleep | do sleep(3) |'),
    is: 'user session',
  },
  {
    shows: 'a client in a routine whose definer may come from a network',
    source: MARIADB_1011,
    row: printed(
      '| 58 | a5 | 10.0.0.0/255.255.255.0:43056 | d2 | Query | 0 | User sleep | do sleep(3) |',
    ),
    is: 'user session',
  },
  {
    shows: 'a client in a routine whose definer has an IPv6 address',
    source: MYSQL_97,
    row: printed('| 204 | a6 | fd00::a:5:53796 | d | Query | 1 | User sleep | do sleep(3) |'),
    is: 'user session',
  },
  {
    shows: 'a client in a routine whose definer has no host',
    source: MYSQL_97,
    row: printed('| 198 | a4 | | d | Query | 1 | User sleep | do sleep(3) |'),
    is: 'no_client_endpoint',
  },
  {
    shows: 'a client in a routine whose definer has a host that ends in a port',
    source: MYSQL_97,
    row: printed('| 199 | a8 | 10.0.0.9:3306:53762 | d | Query | 1 | User sleep | do sleep(3) |'),
    is: 'no_client_endpoint',
  },
  {
    shows: 'a socket client in a routine whose definer may come from anywhere',
    source: MARIADB_1011,
    row: printed('| 61 | a1 | % | d2 | Query | 0 | User sleep | do sleep(3) |'),
    filter: SOCKETS_TOO,
    is: 'no_client_endpoint',
  },
  {
    shows: 'a client in a routine of the sys schema',
    source: 'MySQL 8.0 sys schema, DEFINER mysql.sys@localhost',
    row: client({ user: 'mysql.sys', host: 'localhost:51358', command: 'Query' }),
    is: 'internal_user',
  },
  {
    shows: 'a client in mysql.rds_kill',
    source: 'Amazon RDS user guide, mysql.rds_kill',
    row: client({ user: 'rdsadmin', host: 'localhost:51358', command: 'Query' }),
    is: 'internal_user',
  },
];

const SOCKET_CLIENTS: readonly RowCase[] = [
  {
    shows: 'a client of the Unix socket',
    source: MYSQL_97,
    row: printed('| 147 | v6 | localhost | NULL | Query | 0 | init | show processlist |'),
    is: 'no_client_endpoint',
  },
  {
    shows: 'a client of the Unix socket with require_client_port: false',
    source: MYSQL_97,
    row: printed('| 147 | v6 | localhost | NULL | Query | 0 | init | show processlist |'),
    filter: SOCKETS_TOO,
    is: 'user session',
  },
  {
    shows: 'an idle client of the Unix socket with require_client_port: false',
    source: MARIADB_1011,
    row: printed('| 11 | v6 | localhost | NULL | Sleep | 5 | | NULL |'),
    filter: SOCKETS_TOO,
    is: 'user session',
  },
  {
    shows: 'a DBA at the Unix socket with require_client_port: false',
    source: MANUAL_57,
    row: printed(
      '| 3123 | stefan | localhost | apollon | Query | 0 | NULL | SHOW FULL PROCESSLIST |',
    ),
    filter: SOCKETS_TOO,
    is: 'user session',
  },
  {
    shows: 'an X Protocol client of the Unix socket',
    source: MYSQL_97,
    row: printed('| 172 | xu | localhost | NULL | Sleep | 0 | NULL | PLUGIN |'),
    is: 'no_client_endpoint',
  },
  {
    shows: 'an X Protocol client of the Unix socket with require_client_port: false',
    source: MYSQL_97,
    row: printed('| 172 | xu | localhost | NULL | Sleep | 0 | NULL | PLUGIN |'),
    filter: SOCKETS_TOO,
    is: 'user session',
  },
  {
    shows: 'a client over TCP with require_client_port: false',
    source: MYSQL_97,
    row: client(),
    filter: SOCKETS_TOO,
    is: 'user session',
  },
  {
    shows: 'localhost in capitals, which no server writes',
    source: LIST_80,
    row: client({ host: 'LOCALHOST' }),
    filter: SOCKETS_TOO,
    is: 'no_client_endpoint',
  },
  {
    shows: 'the binlog dump of a tool at the Unix socket with require_client_port: false',
    source: LIST_80,
    row: client({ user: 'canal', host: 'localhost', command: 'Binlog Dump' }),
    filter: SOCKETS_TOO,
    is: 'internal_command',
  },
  {
    shows: 'the event scheduler with require_client_port: false',
    source: MYSQL_56,
    row: printed(
      '| 1 | event_scheduler | localhost | NULL | Daemon | 4 | Waiting on empty queue | NULL |',
    ),
    filter: SOCKETS_TOO,
    is: 'internal_user',
  },
  {
    shows: 'a bare address with require_client_port: false',
    source: TIDB,
    row: client({ host: '127.0.0.1' }),
    filter: SOCKETS_TOO,
    is: 'no_client_endpoint',
  },
];

const EVENTS: readonly RowCase[] = [
  {
    shows: 'the event scheduler',
    source: MYSQL_97,
    row: printed(
      '| 5 | event_scheduler | localhost | NULL | Daemon | 1 | Waiting for next activation | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'the event scheduler with another command',
    source: PERFORMANCE_SCHEMA,
    row: printed(
      '| 5 | event_scheduler | localhost | NULL | Connect | 1 | Waiting for next activation | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'the event scheduler',
    source: MARIADB_118,
    row: printed(
      '| 2 | event_scheduler | localhost | NULL | Daemon | 42 | Waiting on empty queue | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'an event worker, listed under its definer',
    source: MYSQL_97,
    row: printed('| 11 | app | localhost | d | Connect | 3 | User sleep | do sleep(20) |'),
    is: 'internal_command',
  },
  {
    shows: 'an event worker of app@localhost with require_client_port: false',
    source: MARIADB_1011,
    row: printed('| 16 | app | localhost | d2 | Connect | 15 | User sleep | do sleep(30) |'),
    filter: SOCKETS_TOO,
    is: 'internal_command',
  },
  {
    shows: 'an event worker of app@%',
    source: MYSQL_97,
    row: printed('| 12 | app | % | d | Connect | 3 | User sleep | do sleep(20) |'),
    is: 'internal_command',
  },
  {
    shows: 'an event worker of six@::1',
    source: MARIADB_1011,
    row: printed('| 17 | six | ::1 | d2 | Connect | 15 | User sleep | do sleep(30) |'),
    is: 'internal_command',
  },
  {
    shows: 'an event worker of six@fd00::a:5, which ends like a port',
    source: MYSQL_97,
    row: printed('| 13 | six | fd00::a:5 | d | Connect | 3 | User sleep | do sleep(20) |'),
    is: 'internal_command',
  },
  {
    shows: 'an event worker whose definer has a host that ends in a port',
    source: MYSQL_97,
    row: printed('| 14 | odd | 10.0.0.9:3306 | d | Connect | 3 | User sleep | do sleep(20) |'),
    is: 'internal_command',
  },
  {
    shows: 'a killed event worker of six@::1',
    source: LIST_MARIADB,
    row: printed('| 17 | six | ::1 | d2 | Killed | 15 | User sleep | do sleep(30) |'),
    is: 'no_client_endpoint',
  },
  {
    shows: 'a killed event worker of six@fd00::a:5',
    source: LIST_80,
    row: printed('| 13 | six | fd00::a:5 | d | Killed | 3 | closing tables | do sleep(20) |'),
    is: 'no_client_endpoint',
  },
  {
    shows: 'a killed event worker of app@localhost',
    source: LIST_80,
    row: printed('| 11 | app | localhost | d | Killed | 3 | closing tables | do sleep(20) |'),
    is: 'no_client_endpoint',
  },
  {
    shows: 'an event worker',
    source: PERFORMANCE_SCHEMA,
    row: printed('| 11 | system user | | d | Connect | 3 | User sleep | do sleep(20) |'),
    is: 'internal_user',
  },
];

const REPLICATION: readonly RowCase[] = [
  {
    shows: 'the binlog dump of a replica with GTIDs',
    source: MYSQL_97,
    row: printed(
      '| 16 | repl | 127.0.0.1:37176 | NULL | Binlog Dump GTID | 3 | Source has sent all binlog to replica; waiting for more updates | NULL |',
    ),
    is: 'internal_command',
  },
  {
    shows: 'the binlog dump of a replica',
    source: MARIADB_1011,
    row: printed(
      '| 50 | repl | 127.0.0.1:60962 | NULL | Binlog Dump | 28 | Master has sent all binlog to slave; waiting for more updates | NULL |',
    ),
    is: 'internal_command',
  },
  {
    shows: 'the binlog dump of a replica',
    source: COMMANDS_57,
    row: printed(
      '| 9 | repl | 10.0.0.7:41022 | NULL | Binlog Dump | 9001 | Master has sent all binlog to slave; waiting for more updates | NULL |',
    ),
    is: 'internal_command',
  },
  {
    shows: 'the binlog dump of a replica whose host name the server resolved',
    source: MANUAL_57,
    row: printed(
      '| 3112 | replikator | artemis:2204 | NULL | Binlog Dump | 2144 | Has sent all binlog to slave; waiting for binlog to be updated | NULL |',
    ),
    is: 'internal_command',
  },
  {
    shows: 'Debezium under an ordinary account',
    source: 'Debezium documentation, MySQL connector reads the binlog as a replica',
    row: client({ user: 'debezium', command: 'Binlog Dump GTID', time: '86400' }),
    is: 'internal_command',
  },
  {
    shows: 'Maxwell under an ordinary account',
    source: "Maxwell's Daemon documentation, reads the binlog as a replica",
    row: client({ user: 'maxwell', command: 'Binlog Dump' }),
    is: 'internal_command',
  },
  {
    shows: 'mysqlbinlog run by a DBA',
    source: 'MySQL 8.4 Reference Manual, mysqlbinlog --read-from-remote-server',
    row: client({ user: 'dba', command: 'Binlog Dump' }),
    is: 'internal_command',
  },
  {
    shows: 'a replica that registers',
    source: COMMANDS_57,
    row: client({ user: 'repl', command: 'Register Slave' }),
    is: 'internal_command',
  },
  {
    shows: 'a replica that registers on a later version',
    source: COMMANDS_80,
    row: client({ user: 'repl', command: 'Register Replica' }),
    is: 'internal_command',
  },
  {
    shows: 'the I/O thread',
    source: MYSQL_97,
    row: printed(
      '| 10 | system user | connecting host | NULL | Connect | 3 | Waiting for source to send event | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'the I/O thread',
    source: MANUAL_57,
    row: printed(
      '| 1 | system user | | NULL | Connect | 1030455 | Waiting for master to send event | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'the SQL thread',
    source: MANUAL_57,
    row: printed(
      '| 2 | system user | | NULL | Connect | 1004 | Has read all relay log; waiting for the slave I/O thread to update it | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'the applier coordinator, whose command is that of a client',
    source: MYSQL_97,
    row: printed(
      '| 11 | system user | | NULL | Query | 3 | Replica has read all relay log; waiting for more updates | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'an applier worker',
    source: MYSQL_97,
    row: printed(
      '| 12 | system user | | NULL | Connect | 3 | Waiting for an event from Coordinator | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'the I/O thread',
    source: MARIADB_1011,
    row: printed(
      '| 6 | system user | | NULL | Slave_IO | 4 | Waiting for master to send event | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'the SQL thread',
    source: MARIADB_118,
    row: printed(
      '| 7 | system user | | NULL | Slave_SQL | 4 | Slave has read all relay log; waiting for more updates | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'an idle worker that was killed and stays',
    source: MARIADB_1011,
    row: printed(
      '| 8 | system user | | NULL | Killed | 2 | Waiting for work from SQL thread | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'the SQL thread in a trigger of app@localhost',
    source: MARIADB_1011,
    row: printed(
      '| 14 | app | localhost | d2 | Slave_SQL | 2 | User sleep | insert into d2.n values(8) |',
    ),
    filter: SOCKETS_TOO,
    is: 'internal_command',
  },
  {
    shows: 'a worker in a trigger of app@localhost',
    source: MARIADB_1011,
    row: printed(
      '| 9 | app | localhost | d2 | Slave_worker | 2 | User sleep | insert into d2.n values(7) |',
    ),
    filter: SOCKETS_TOO,
    is: 'internal_command',
  },
  {
    shows: 'a worker in a trigger of app@localhost',
    source: MYSQL_97,
    row: printed(
      '| 57 | app | localhost | d | Connect | 13 | User sleep | insert into d.t values (5) |',
    ),
    filter: SOCKETS_TOO,
    is: 'internal_command',
  },
  {
    shows: 'the applier coordinator under PRIVILEGE_CHECKS_USER pcu@localhost',
    source: MYSQL_97,
    row: printed(
      '| 67 | pcu | localhost | NULL | Query | 2 | Replica has read all relay log; waiting for more updates | NULL |',
    ),
    is: 'no_client_endpoint',
  },
  {
    shows: 'the applier coordinator under the reserved account of the cloud',
    source: AURORA_REPLICATION,
    row: printed(
      '| 19 | rdsrepladmin_priv_checks_user | localhost | NULL | Query | 0 | Replica has read all relay log; waiting for more updates | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'the applier coordinator under PRIVILEGE_CHECKS_USER app@%',
    source: MYSQL_97,
    row: printed(
      '| 48 | app | % | NULL | Query | 1 | Replica has read all relay log; waiting for more updates | NULL |',
    ),
    filter: SOCKETS_TOO,
    is: 'no_client_endpoint',
  },
  {
    shows:
      'the applier coordinator under PRIVILEGE_CHECKS_USER six@fd00::a:5, which ends like a port',
    source: MYSQL_97,
    row: printed(
      '| 27 | six | fd00::a:5 | NULL | Query | 1 | Replica has read all relay log; waiting for more updates | NULL |',
    ),
    is: 'no_client_endpoint',
  },
  {
    shows: 'the group replication applier module',
    source: MYSQL_97,
    row: printed(
      '| 13 | system user | | NULL | Connect | 5 | waiting for handler commit | Group replication applier module |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'the group replication applier module, under the account that started it',
    source: PERFORMANCE_SCHEMA,
    row: printed(
      '| 13 | root | 127.0.0.1 | NULL | Connect | 5 | Group Replication Module: Executing | Group replication applier module |',
    ),
    is: 'internal_command',
  },
  {
    shows: 'a member of the group that reads the data stream',
    source: COMMANDS_80,
    row: client({ user: 'gr_user', command: 'Group Replication Data Stream subscription' }),
    is: 'internal_command',
  },
  {
    shows: 'a Galera rollbacker',
    source: 'MariaDB with Galera, bitnami/charts issue 22091',
    row: printed('| 1 | system user | | NULL | Sleep | 1977667 | wsrep aborter idle | NULL |'),
    is: 'internal_user',
  },
  {
    shows: 'a Galera applier',
    source: 'MariaDB with Galera, bitnami/charts issue 22091',
    row: printed(
      '| 2 | system user | | NULL | Sleep | 140221 | Waiting for TOI DDL | update t set a = 1 |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'a Galera applier that seems to run a query',
    source: 'Percona XtraDB Cluster 8.0, PXC-4225',
    row: printed('| 3 | system user | | NULL | Query | 12 | wsrep: committed write set | NULL |'),
    is: 'internal_user',
  },
  {
    shows: 'a killed binlog dump, which looks like a killed client',
    source: LIST_80,
    row: client({ user: 'repl', command: 'Killed' }),
    is: 'user session',
  },
];

const STAGES_97 = 'MySQL 9.7.4, stages in performance_schema.setup_instruments';
const STAGES_57 = 'MySQL 5.7 mysqld.cc, all_server_stages';
const STAGES_56 = 'MySQL 5.6 mysqld.cc, all_server_stages';
const STATES_80 = 'MySQL 8.0 Reference Manual, Replication Thread States';
const STATES_51 = 'MySQL 5.1 Reference Manual, Replication Slave SQL Thread States';
const STAGES_1011 = 'MariaDB 10.11.19, stages in performance_schema.setup_instruments';
const STATES_MARIADB = 'MariaDB documentation, Replica SQL and Replica Connection Thread States';

const THREADS_97 = 'MySQL 9.7.4 performance_schema.threads, measured';
const THREADS_80 = 'MySQL 8.0 Reference Manual, The threads Table';
const THREADS_57 = 'MySQL 5.7 mysqld.cc, all_server_threads';
const THREADS_MARIADB = 'MariaDB 10.11.19 performance_schema.threads, measured';

type ThreadCase = readonly [
  command: string,
  host: string,
  name: string,
  connectionType: string | null,
  source: string,
];

const CLIENT_THREADS: readonly ThreadCase[] = [
  ['Sleep', '10.0.0.5:51358', 'thread/sql/one_connection', 'TCP/IP', THREADS_97],
  ['Query', '10.0.0.5:51358', 'thread/sql/one_connection', 'SSL/TLS', THREADS_97],
  ['Query', '10.0.0.5:51358', 'thread/mysqlx/worker', 'SSL/TLS', THREADS_97],
  ['Query', '10.0.0.5:51358', 'thread/mysqlx/worker', 'TCP/IP', THREADS_97],
  [
    'Query',
    '10.0.0.5:51358',
    'thread/thread_pool/tp_one_connection',
    'TCP/IP',
    'MySQL 8.0 sys schema, view processlist',
  ],
  [
    'Sleep',
    '10.0.0.5:51358',
    'thread/thread_pool/tp_one_connection',
    null,
    'MySQL 8.0 sys schema, view processlist, which uses the thread name',
  ],
  [
    'Query',
    '10.0.0.5:51358',
    'thread/sql/one_connection',
    'SSL/TLS',
    'Percona Server 8.0 threadpool_common.cc, threadpool_add_connection',
  ],
  ['Sleep', '10.0.0.5:51358', 'thread/sql/one_connection', 'TCP/IP', THREADS_MARIADB],
  [
    'Query',
    '10.0.0.5:51358',
    'thread/sql/one_connection',
    'TCP/IP',
    'MariaDB 10.11.19 with thread_handling=pool-of-threads, measured',
  ],
  ['Query', 'localhost:60710', 'thread/sql/one_connection', 'SSL/TLS', THREADS_97],
  ['Query', '10.0.0.5:51358', 'thread/some_pool/one_more', 'TCP/IP', THREADS_80],
];

const INTERNAL_THREADS: readonly ThreadCase[] = [
  ['Query', '10.0.0.9:3306', 'thread/sql/replica_sql', null, THREADS_97],
  ['Query', '10.0.0.9:3306', 'thread/sql/replica_worker', null, THREADS_97],
  ['Query', '10.0.0.9:3306', 'thread/sql/replica_io', null, THREADS_97],
  ['Query', '10.0.0.9:3306', 'thread/sql/replica_monitor', null, THREADS_97],
  ['Query', '10.0.0.9:3306', 'thread/sql/slave_sql', null, THREADS_57],
  ['Query', '10.0.0.9:3306', 'thread/sql/slave_worker', null, THREADS_57],
  ['Query', '10.0.0.9:3306', 'thread/sql/slave_io', null, THREADS_57],
  ['Killed', '10.0.0.4:51234', 'thread/sql/event_worker', null, THREADS_97],
  ['Query', '10.0.0.4:51234', 'thread/sql/event_scheduler', null, THREADS_97],
  ['Query', '10.0.0.4:51234', 'thread/sql/compress_gtid_table', null, THREADS_97],
  [
    'Query',
    '10.0.0.9:3306',
    'thread/group_rpl/THD_applier_module_receiver',
    null,
    'MySQL 8.0 Reference Manual, Group Replication Threads',
  ],
  ['Query', '10.0.0.9:3306', 'thread/clone/clone_local_task', null, 'MySQL 8.0 clone_plugin.cc'],
  ['Killed', '10.0.0.4:51234', 'thread/sql/event_worker', null, THREADS_MARIADB],
  ['Killed', '10.0.0.9:3306', 'thread/sql/rpl_parallel_thread', null, THREADS_MARIADB],
  ['Query', '10.0.0.9:3306', 'thread/some_plugin/some_thread', null, THREADS_80],
  ['Query', '10.0.0.9:3306', 'thread/sql/one_connection', null, THREADS_80],
  ['Query', '10.0.0.9:3306', 'thread/sql/replica_worker', 'TCP/IP', DEFENSIVE],
];

/** Rows that look alike in the list, with their rows of `performance_schema.threads`. */
const SERVER_THREADS: readonly RowCase[] = (
  [
    ['user session', CLIENT_THREADS],
    ['second_opinion', INTERNAL_THREADS],
  ] as const
).flatMap(([is, threads]) =>
  threads.map(([command, host, name, connectionType, source]): RowCase => ({
    shows: `${command} from ${host}, served by ${name}, ${connectionType ?? 'no connection'}`,
    source,
    row: {
      ...printed(
        `| 20 | app | ${host} | NULL | ${command} | 2 | waiting for handler commit | NULL |`,
      ),
      thread: { name, connectionType },
    },
    is,
  })),
);

const WITH_THREADS: readonly RowCase[] = [
  {
    shows: 'an idle X Protocol client, which has no thread',
    source: THREADS_97,
    row: client({ info: 'PLUGIN', thread: undefined }),
    is: 'user session',
  },
  {
    shows: 'a client of the Unix socket with its thread',
    source: THREADS_97,
    row: client({
      host: 'localhost',
      thread: { name: 'thread/sql/one_connection', connectionType: 'Socket' },
    }),
    is: 'no_client_endpoint',
  },
  {
    shows: 'a binlog dump, whose thread is that of a client',
    source: THREADS_97,
    row: client({
      command: 'Binlog Dump GTID',
      thread: { name: 'thread/sql/one_connection', connectionType: 'SSL/TLS' },
    }),
    is: 'internal_command',
  },
  {
    shows: 'a killed binlog dump, whose thread is that of a client',
    source: THREADS_97,
    row: client({
      command: 'Killed',
      state: 'Source has sent all binlog to replica; waiting for more updates',
      thread: { name: 'thread/sql/one_connection', connectionType: 'SSL/TLS' },
    }),
    is: 'replication_state',
  },
  {
    shows: 'a client that executes BINLOG, which the list cuts off',
    source: THREADS_97,
    row: client({
      command: 'Query',
      state: 'Applying batch of row changes (write)',
      info: `# ${'at 157 '.repeat(14)}`,
      thread: { name: 'thread/sql/one_connection', connectionType: 'SSL/TLS' },
    }),
    is: 'user session',
  },
  {
    shows: 'an applier that shows the comment of a statement',
    source: DEFENSIVE,
    row: client({
      command: 'Query',
      state: 'Applying batch of row changes (write)',
      info: `/* ${'service '.repeat(12)} `,
    }),
    is: 'replication_state',
  },
  {
    shows: 'an applier that shows a comment and whose thread serves no client',
    source: THREADS_97,
    row: client({
      command: 'Query',
      state: 'Applying batch of row changes (write)',
      info: '# at 157\nINSERT INTO t VALUES (1)',
      thread: { name: 'thread/sql/replica_worker', connectionType: null },
    }),
    is: 'replication_state',
  },
  {
    shows: 'a busy X Protocol client in a list of performance_schema, which has no ports',
    source: THREADS_97,
    row: client({
      host: 'localhost',
      command: 'Query',
      thread: { name: 'thread/mysqlx/worker', connectionType: 'SSL/TLS' },
    }),
    is: 'user session',
  },
  {
    shows: 'a thread of an unknown kind without a port',
    source: DEFENSIVE,
    row: client({
      host: '10.0.0.5',
      thread: { name: 'thread/some_plugin/some_thread', connectionType: 'TCP/IP' },
    }),
    is: 'no_client_endpoint',
  },
  {
    shows: 'the control account over X Protocol',
    source: THREADS_97,
    row: client({
      user: 'session_control',
      thread: { name: 'thread/mysqlx/worker', connectionType: 'SSL/TLS' },
    }),
    is: 'control_account',
  },
];

const CUT_MARIADB = 'MariaDB 10.11.19, measured: 63 characters, a port as a whole or not at all';

/** Hosts that leave no room for a port, and the longest host that does. */
const CUT_HOSTS: readonly RowCase[] = (
  [
    [`${'h'.repeat(57)}:34396`, undefined, 'user session'],
    [`${'h'.repeat(58)}:`, undefined, 'no_client_endpoint'],
    [`${'h'.repeat(62)}:`, undefined, 'no_client_endpoint'],
    ['h'.repeat(63), undefined, 'no_client_endpoint'],
    [`${'h'.repeat(58)}:`, 'TCP/IP', 'user session'],
    [`${'h'.repeat(62)}:`, 'SSL/TLS', 'user session'],
    ['h'.repeat(63), 'TCP/IP', 'user session'],
    ['h'.repeat(63), 'Socket', 'no_client_endpoint'],
    ['h'.repeat(63), null, 'no_client_endpoint'],
    ['h'.repeat(62), undefined, 'no_client_endpoint'],
    ['h'.repeat(64), undefined, 'no_client_endpoint'],
    ['h'.repeat(62), 'TCP/IP', 'user session'],
    [`${'h'.repeat(57)}:`, undefined, 'no_client_endpoint'],
    [`${'h'.repeat(57)}:`, 'TCP/IP', 'user session'],
    ['h'.repeat(64), 'TCP/IP', 'user session'],
    ['localhost', 'SSL/TLS', 'user session'],
    ['localhost', 'Socket', 'no_client_endpoint'],
    ['%', 'Socket', 'no_client_endpoint'],
    ['', 'TCP/IP', 'no_client_endpoint'],
  ] as const
).map(([host, connectionType, is]): RowCase => ({
  shows: `the host ${host}, ${connectionType === undefined ? 'its thread not shown' : String(connectionType)}`,
  source: CUT_MARIADB,
  row: client({
    host,
    ...(connectionType !== undefined && {
      thread: { name: 'thread/sql/one_connection', connectionType },
    }),
  }),
  is,
}));

/** States of replication threads under an account whose host looks like a client's endpoint. */
const REPLICATION_STATES: readonly RowCase[] = (
  [
    ['Query', 'Replica has read all relay log; waiting for more updates', MYSQL_97],
    ['Query', 'Slave has read all relay log; waiting for more updates', STAGES_57],
    [
      'Query',
      'Slave has read all relay log; waiting for the slave I/O thread to update it',
      STAGES_56,
    ],
    ['Query', 'Has read all relay log; waiting for the slave I/O thread to update it', STATES_51],
    ['Query', 'Reading event from the relay log', MYSQL_97],
    ['Query', 'Waiting for the next event in relay log', STAGES_97],
    ['Query', 'Waiting for replica workers to process their queues', STAGES_97],
    ['Query', 'Waiting for Slave Workers to process their queues', STAGES_57],
    ['Query', 'Waiting for Replica Worker queue', STAGES_97],
    ['Query', 'Waiting for Slave Worker queue', STAGES_56],
    ['Query', 'Waiting for Replica Workers to free pending events', STAGES_97],
    ['Query', 'Waiting for Replica Worker to release partition', STAGES_97],
    ['Query', 'Waiting for workers to exit', STAGES_97],
    ['Query', 'Waiting until SOURCE_DELAY seconds after source executed event', STAGES_97],
    ['Query', 'Waiting until MASTER_DELAY seconds after master executed event', STAGES_57],
    [
      'Query',
      'Making temporary file (append) before replaying LOAD DATA INFILE',
      'MySQL 8.0 mysqld.cc, all_server_stages',
    ],
    ['Query', 'Waiting for an event from Coordinator', MYSQL_97],
    ['Query', 'Executing event', MYSQL_97],
    ['Query', 'Applying batch of row changes (write)', MYSQL_97],
    ['Query', 'Applying batch of row changes (update)', MYSQL_97],
    ['Query', 'Applying batch of row changes (delete)', STAGES_97],
    ['Query', 'Waiting for preceding transaction to commit', STAGES_97],
    ['Query', 'Waiting for dependent transaction to commit', STAGES_97],
    ['Query', 'Waiting for source to send event', MYSQL_97],
    ['Query', 'Waiting for master to send event', STAGES_57],
    ['Query', 'Queueing source event to the relay log', MYSQL_97],
    ['Query', 'Connecting to source', STAGES_97],
    ['Query', 'Connecting to master', STAGES_57],
    ['Query', 'Checking source version', STAGES_97],
    ['Query', 'Registering replica on source', STAGES_97],
    ['Query', 'Registering slave on master', STAGES_56],
    ['Query', 'Requesting binlog dump', STAGES_97],
    ['Query', 'Waiting to reconnect after a failed source event read', STAGES_97],
    ['Query', 'Reconnecting after a failed binlog dump request', STAGES_97],
    ['Query', 'Waiting for the replica SQL thread to free relay log space', STAGES_97],
    ['Query', 'Waiting for the slave SQL thread to free enough relay log space', STAGES_57],
    ['Query', 'Waiting for replica mutex on exit', STAGES_97],
    ['Query', 'Waiting for source update', STATES_80],
    ['Query', 'Fetching source member details from connected source', STAGES_97],
    ['Killed', 'Replica has read all relay log; waiting for more updates', LIST_80],
    ['Killed', 'Source has sent all binlog to replica; waiting for more updates', LIST_80],
    ['Killed', 'Master has sent all binlog to slave; waiting for more updates', LIST_MARIADB],
    ['Killed', 'Sending binlog event to replica', STAGES_97],
    ['Killed', 'Finished reading one binlog; switching to next binlog', STAGES_97],
    ['Killed', 'Slave has read all relay log; waiting for more updates', STAGES_1011],
    ['Killed', 'Waiting for work from SQL thread', MARIADB_1011],
    ['Killed', 'Waiting for prior transaction to start commit', STAGES_1011],
    ['Killed', 'Waiting for room in worker thread event queue', STATES_MARIADB],
    ['Killed', 'Waiting for other master connection to process the same GTID', STAGES_1011],
    [
      'Killed',
      'Waiting for other master connection to process GTID received on multiple master connections',
      STATES_MARIADB,
    ],
    ['Killed', 'Slave SQL thread ending', STAGES_1011],
  ] as const
).map(([command, state, source]): RowCase => ({
  shows: `a thread of priv@'10.0.0.9:3306' in ${command}, ${state}`,
  source,
  row: printed(`| 20 | priv | 10.0.0.9:3306 | NULL | ${command} | 2 | ${state} | NULL |`),
  is: 'replication_state',
}));

/** Clients in a state that is about replication, or looks like it. */
const CLIENTS_AND_REPLICATION: readonly RowCase[] = (
  [
    ['Waiting for GTID to be committed', "SELECT WAIT_FOR_EXECUTED_GTID_SET('…:1-5')", MYSQL_97],
    [
      'Waiting for the replica SQL thread to advance position',
      "SELECT SOURCE_POS_WAIT('b', 4)",
      STATES_80,
    ],
    [
      'Waiting for the slave SQL thread to advance position',
      "SELECT MASTER_POS_WAIT('b', 4)",
      STAGES_57,
    ],
    [
      'Waiting in MASTER_GTID_WAIT() (primary waiter)',
      "SELECT MASTER_GTID_WAIT('0-99-100')",
      MARIADB_1011,
    ],
    ['Waiting for semi-sync ACK from replica', 'COMMIT', 'MySQL 8.0 semisync_source.cc'],
    ['Waiting for semi-sync ACK from slave', 'COMMIT', STAGES_1011],
    ['Killing replica', 'STOP REPLICA', STAGES_97],
    ['Killing slave', 'STOP SLAVE', STAGES_1011],
    ['Waiting for replica thread to start', 'START REPLICA', STAGES_97],
    ['Waiting for slave thread to start', 'START SLAVE', STAGES_1011],
    ['Changing replication source', 'CHANGE REPLICATION SOURCE TO …', STAGES_97],
    ['Changing master', 'CHANGE MASTER TO …', STAGES_1011],
    ['Purging old relay logs', 'RESET REPLICA', STAGES_97],
    [
      'Waiting for worker threads to pause for global read lock',
      'FLUSH TABLES WITH READ LOCK',
      STATES_MARIADB,
    ],
    ['Waiting for prior transaction to commit', 'COMMIT', STATES_MARIADB],
    ['waiting for handler commit', 'COMMIT', MYSQL_97],
    ['Applying batch of row changes (update)', "BINLOG 'INIMaxMBAAAA", MYSQL_97],
    [
      'Applying batch of row changes (write)',
      "/* restored */ binlog 'INIMaxMBAAAA",
      'MySQL 8.4 Reference Manual, BINLOG Statement',
    ],
    [
      'Update_rows_log_event::ha_update_row()',
      "BINLOG 'AtIMaxMBAAAA",
      'MariaDB 10.11.19, measured: playing mysqlbinlog back',
    ],
    ...['# at 157\n', '#\n-- played back\n\n', '--\n', '/* a * b */ /**/ # c\n'].map(
      (comment) =>
        [
          'Applying batch of row changes (write)',
          `${comment}BINLOG 'INIMaxMBAAAA`,
          'MySQL 9.7.4, measured: mysqlbinlog played back by mysql --comments',
        ] as const,
    ),
    ['User sleep', 'SELECT SLEEP(9) -- Replica has read all relay log', MYSQL_97],
  ] as const
).map(([state, info, source]): RowCase => ({
  shows: `a client in state ${state} that runs ${info}`,
  source,
  row: printed(`| 29 | app | 10.0.0.5:51358 | NULL | Query | 0 | ${state} | ${info} |`),
  is: 'user session',
}));

const OTHER_INTERNAL_THREADS: readonly RowCase[] = [
  {
    shows: 'the thread that compresses the GTID table',
    source: PERFORMANCE_SCHEMA,
    row: printed('| 6 | system user | | NULL | Daemon | 4 | Suspending | NULL |'),
    is: 'internal_user',
  },
  {
    shows: 'an InnoDB purge worker',
    source: 'MariaDB 10.4, published process lists',
    row: printed('| 3 | system user | | NULL | Daemon | NULL | InnoDB purge worker | NULL |'),
    is: 'internal_user',
  },
  {
    shows: 'a client before its login',
    source: MYSQL_97,
    row: printed(
      '| 156 | unauthenticated user | 127.0.0.1:50398 | NULL | Connect | 1 | Receiving from client | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'a client before its login',
    source: MYSQL_56,
    row: printed(
      '| 14 | unauthenticated user | 127.0.0.1:40100 | NULL | Connect | NULL | Reading from net | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'a client before its login',
    source: MARIADB_105,
    row: printed(
      '| 12 | unauthenticated user | 127.0.0.1:35204 | NULL | Connect | 0 | Reading from net | NULL |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'an X Protocol client before its login',
    source: MYSQL_97,
    row: printed(
      '| 148 | unauthenticated user | connecting host | NULL | Sleep | 1 | login | PLUGIN |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'a client in the middle of its login',
    source: COMMANDS_80,
    row: client({ db: null, command: 'Connect', state: 'login' }),
    is: 'internal_command',
  },
  {
    shows: 'a session of the X plugin itself',
    source: 'MySQL 8.0 X plugin, sql_data_context.cc',
    row: client({ user: 'mysql.session', host: 'localhost:51358', info: 'PLUGIN' }),
    is: 'internal_user',
  },
  {
    shows: 'an X Protocol client without its port',
    source: PERFORMANCE_SCHEMA,
    row: printed('| 173 | xu | 127.0.0.1 | NULL | Query | 0 | User sleep | select sleep(5) |'),
    is: 'no_client_endpoint',
  },
  {
    shows: 'the donor of a clone',
    source: MYSQL_97,
    row: printed('| 178 | cl | 127.0.0.1:54696 | NULL | clone | 4 | Sending to client | NULL |'),
    is: 'internal_command',
  },
  {
    shows: 'a delayed insert handler',
    source: MARIADB_1011,
    row: printed(
      '| 29 | delayed | localhost | d2 | Delayed insert | NULL | Waiting for INSERT | m |',
    ),
    filter: SOCKETS_TOO,
    is: 'internal_user',
  },
  {
    shows: 'a table dump',
    source: 'MySQL 5.6 sql_parse.cc, command_name',
    row: client({ command: 'Table Dump' }),
    is: 'internal_command',
  },
  {
    shows: 'a replica that connects to its source',
    source: COMMANDS_57,
    row: client({ command: 'Connect Out' }),
    is: 'internal_command',
  },
  {
    shows: 'a daemon under an ordinary name',
    source: COMMANDS_80,
    row: client({ command: 'Daemon' }),
    is: 'internal_command',
  },
  ...['Slave_IO', 'Slave_SQL', 'Slave_worker'].map((command): RowCase => ({
    shows: `a thread in command ${command} under an ordinary name`,
    source: COMMANDS_MARIADB,
    row: client({ command }),
    is: 'internal_command',
  })),
  ...['BINLOG DUMP', 'daemon', 'CLONE', 'slave_sql', 'Replica_SQL', 'REGISTER REPLICA'].map(
    (command): RowCase => ({
      shows: `command ${command}, in another letter case`,
      source: DEFENSIVE,
      row: client({ command }),
      is: 'internal_command',
    }),
  ),
];

const KILLED: readonly RowCase[] = [
  {
    shows: 'a killed event worker of a definer at localhost',
    source: MARIADB_1011,
    row: client({ host: 'localhost', command: 'Killed' }),
    filter: SOCKETS_TOO,
    is: 'no_client_endpoint',
  },
  {
    shows: 'a killed client that rolls back',
    source: MARIADB_1011,
    row: printed('| 82 | cl | 127.0.0.1:54830 | d2 | Killed | 0 | Rollback | NULL |'),
    is: 'user session',
  },
  {
    shows: 'a killed client',
    source: LIST_80,
    row: client({ command: 'Killed', state: 'User sleep' }),
    is: 'user session',
  },
  {
    shows: 'a killed session of a cloud account',
    source: LIST_80,
    row: client({ user: 'rdsAdmin', command: 'Killed' }),
    is: 'internal_user',
  },
  {
    shows: 'a killed session of the control account',
    source: LIST_80,
    row: client({ user: 'session_control', command: 'Killed' }),
    is: 'control_account',
  },
  {
    shows: 'a killed applier coordinator',
    source: LIST_80,
    row: printed('| 11 | system user | | NULL | Killed | 3 | | NULL |'),
    is: 'internal_user',
  },
];

const TIDB_ROWS: readonly RowCase[] = [
  {
    shows: 'a client',
    source: 'TiDB documentation, SHOW PROCESSLIST',
    row: printed(
      '| 5 | root | 127.0.0.1:45970 | test | Query | 0 | autocommit | SHOW PROCESSLIST |',
    ),
    is: 'user session',
  },
  {
    shows: 'a client with a 32-bit id',
    source: TIDB_IDS,
    row: client({ id: '2097154', state: 'in transaction' }),
    is: 'user session',
  },
  {
    shows: 'a client with a 64-bit id, above what a double holds exactly',
    source: TIDB_IDS,
    row: client({ id: '5857102839209263511', state: 'autocommit' }),
    is: 'user session',
  },
  {
    shows: 'a system process such as auto analyze',
    source: 'TiDB domain/sysproctrack, GetSysProcessList',
    row: printed(
      '| 5857102839209263513 | | | | Query | 12 | autocommit | analyze table shop.orders |',
    ),
    is: 'internal_user',
  },
  {
    shows: 'a system process with require_client_port: false',
    source: 'TiDB domain/sysproctrack, GetSysProcessList',
    row: printed('| 2097156 | | | | Sleep | 0 | autocommit | NULL |'),
    filter: SOCKETS_TOO,
    is: 'internal_user',
  },
];

const OURS: readonly RowCase[] = [
  {
    shows: 'our own connection',
    source: MYSQL_97,
    row: printed(
      '| 4 | session_control | 10.0.0.2:40000 | NULL | Query | 0 | init | SHOW PROCESSLIST |',
    ),
    is: 'own_connection',
  },
  {
    shows: 'our own connection under the name of a definer',
    source: 'Amazon RDS user guide, mysql.rds_kill',
    row: client({ id: '4', user: 'app' }),
    is: 'own_connection',
  },
  {
    shows: 'our own connection with a 64-bit id',
    source: TIDB_IDS,
    row: client({ id: '5857102839209263511' }),
    filter: { ownIds: new Set([5857102839209263511n]) },
    is: 'own_connection',
  },
  {
    shows: 'a neighbour of our id that is equal as a double',
    source: TIDB_IDS,
    row: client({ id: '5857102839209263513' }),
    filter: { ownIds: new Set([5857102839209263511n]) },
    is: 'user session',
  },
  {
    shows: 'a client whose id has the low 32 bits of our id',
    source: 'MySQL 9.7.4, measured: KILL keeps 32 bits',
    row: client({ id: '4294967300' }),
    is: 'user session',
  },
  {
    shows: 'another connection of the control account',
    source: MYSQL_97,
    row: client({ user: 'session_control' }),
    is: 'control_account',
  },
  {
    shows: 'the control account of another replica of the service',
    source: MYSQL_97,
    row: client({ user: 'session_control', host: '192.0.2.77:33001' }),
    is: 'control_account',
  },
  {
    shows: 'the control account at the Unix socket',
    source: MARIADB_1011,
    row: client({ user: 'session_control', host: 'localhost' }),
    filter: SOCKETS_TOO,
    is: 'control_account',
  },
  {
    shows: 'the control account in another letter case',
    source: LIST_MARIADB,
    row: client({ user: 'Session_CONTROL' }),
    is: 'control_account',
  },
  {
    shows: 'the control account, configured in another letter case',
    source: LIST_MARIADB,
    row: client({ user: 'session_control' }),
    filter: { controlAccount: 'SESSION_control' },
    is: 'control_account',
  },
  {
    shows: 'a client whose account starts like the control account',
    source: MYSQL_97,
    row: client({ user: 'session_control_reader' }),
    is: 'user session',
  },
  {
    shows: 'a configured account',
    source: 'Percona XtraBackup documentation, backup account',
    row: client({ user: 'backup' }),
    filter: { internalUsers: ['monitor', 'backup'] },
    is: 'internal_user',
  },
  {
    shows: 'a configured account in another letter case',
    source: 'Percona Monitoring and Management documentation, pmm account',
    row: client({ user: 'PMM' }),
    filter: { internalUsers: ['pmm'] },
    is: 'internal_user',
  },
  {
    shows: 'an account that is configured in another letter case',
    source: ALIBABA,
    row: client({ user: 'aurora' }),
    filter: { internalUsers: ['Aurora'] },
    is: 'internal_user',
  },
  {
    shows: 'a client whose account starts like a configured one',
    source: MYSQL_97,
    row: client({ user: 'backup_reader' }),
    filter: { internalUsers: ['backup'] },
    is: 'user session',
  },
  {
    shows: 'an account that is not configured here',
    source: 'Percona XtraBackup documentation, backup account',
    row: client({ user: 'backup' }),
    is: 'user session',
  },
];

/** Every built-in account as an idle client over TCP: only the name shows that it is internal. */
const INTERNAL_ACCOUNTS: readonly RowCase[] = (
  [
    ['system user', 'MariaDB 10.11.19, measured: an account may have this name'],
    ['event_scheduler', LIST_80],
    ['unauthenticated user', LIST_80],
    ['mysql.session', 'MySQL 8.0 Reference Manual, Reserved Accounts'],
    ['mysql.sys', 'MySQL 8.0 Reference Manual, Reserved Accounts'],
    ['mysql.infoschema', 'MySQL 8.0 Reference Manual, Reserved Accounts'],
    ['mariadb.sys', 'MariaDB documentation, mariadb.sys@localhost'],
    ['rdsadmin', 'Amazon RDS user guide, predefined users'],
    ['rdsrepladmin', 'Amazon RDS user guide, predefined users'],
    ['rdsproxyadmin', 'Amazon RDS, reserved account of RDS Proxy'],
    ['rdstopmgr', 'Amazon RDS, not documented for MySQL'],
    ['rdshm', 'Amazon RDS, not documented for MySQL'],
    ['rdsAdmin', 'Huawei Cloud TaurusDB documentation, system accounts'],
    ['rdsRepl', 'Huawei Cloud TaurusDB documentation, system accounts'],
    ['rdsBackup', 'Huawei Cloud TaurusDB documentation, system accounts'],
    ['rdsbackup', 'Huawei Cloud RDS for MySQL documentation, built-in accounts'],
    ['rdsMetric', 'Huawei Cloud TaurusDB documentation, system accounts'],
    ['rdsProxy', 'Huawei Cloud TaurusDB documentation, system accounts'],
    ['dsc_readonly', 'Huawei Cloud RDS for MySQL documentation, built-in accounts'],
    ['aliyun_root', ALIBABA],
    ['aurora_proxy', ALIBABA],
    ['rds_service', ALIBABA],
    ['replicator', ALIBABA],
    ['ociadmin', 'MySQL HeatWave on AWS documentation, Reserved User Names'],
    ['ocimonitor', 'MySQL HeatWave on AWS documentation, Reserved User Names'],
    ['ocirpl', 'MySQL HeatWave on AWS documentation, Reserved User Names'],
    ['azure_superuser', 'Azure Database for MySQL documentation, azure_superuser'],
    ['cloudsqladmin', 'Google Cloud SQL, account of the service'],
    ['cloudsqlreplica', 'Google Cloud SQL, account of the service'],
    ['cloudsqlapplier', 'Google Cloud SQL, account of the service'],
    ['cloudsqlimport', 'Google Cloud SQL, account of the service'],
    ['cloudsqlexport', 'Google Cloud SQL, account of the service'],
    ['cloudsqloneshot', 'Google Cloud SQL, account of the service'],
    ['cloudsqlobservabilityadmin', 'Google Cloud SQL, account of the service'],
    ['delayed', 'MariaDB 10.11 sql_insert.cc, Delayed_insert'],
    ['rdsrepladmin_priv_checks_user', AURORA_REPLICATION],
    ['rdsgrprepladmin', 'Amazon RDS user guide, active-active clusters'],
    ['drsFull', 'Huawei Cloud Data Replication Service documentation'],
    ['drsIncremental', 'Huawei Cloud Data Replication Service documentation'],
    ['ocidbm', 'MySQL HeatWave on OCI documentation, Reserved User Names'],
    ['ocirest', 'MySQL HeatWave on OCI documentation, Reserved User Names'],
    ['oracle-cloud-agent', 'MySQL HeatWave on OCI documentation, Reserved User Names'],
    ['rrhhuser', 'MySQL HeatWave on OCI documentation, Reserved User Names'],
    ['mysql.pxc.sst.user', 'Percona XtraDB Cluster documentation, internal accounts'],
    ['mysql.pxc.internal.session', 'Percona XtraDB Cluster documentation, internal accounts'],
  ] as const
).flatMap(([user, source]): RowCase[] => [
  { shows: `a session of ${user}`, source, row: client({ user }), is: 'internal_user' },
  {
    shows: `a session of ${user} in capitals`,
    source,
    row: client({ user: user.toUpperCase() }),
    is: 'internal_user',
  },
]);

/** Every command that a client's session can have. */
const CLIENT_COMMANDS: readonly RowCase[] = (
  [
    [COMMANDS_57, 'Sleep', 'Quit', 'Init DB', 'Query', 'Field List', 'Create DB', 'Drop DB'],
    [COMMANDS_57, 'Refresh', 'Shutdown', 'Statistics', 'Processlist', 'Kill', 'Debug', 'Ping'],
    [COMMANDS_57, 'Time', 'Change user', 'Prepare', 'Execute', 'Long Data', 'Close stmt'],
    [COMMANDS_80, 'Reset stmt', 'Set option', 'Fetch', 'Reset Connection', 'Error'],
    [COMMANDS_MARIADB, 'Bulk_execute', 'Com_multi', 'Reset connection'],
  ] as const
).flatMap(([source, ...commands]) =>
  commands.map((command): RowCase => ({
    shows: `a client in command ${command}`,
    source,
    row: client({ command }),
    is: 'user session',
  })),
);

const MISSING_COLUMNS: readonly RowCase[] = [
  ...(['db', 'time', 'state', 'info'] as const).map((column): RowCase => ({
    shows: `a client with NULL in ${column}`,
    source: LIST_80,
    row: client({ [column]: null }),
    is: 'user session',
  })),
  { shows: 'a NULL id', source: DEFENSIVE, row: client({ id: null }), is: 'bad_id' },
  { shows: 'a NULL user', source: DEFENSIVE, row: client({ user: null }), is: 'internal_user' },
  { shows: 'an empty user', source: TIDB, row: client({ user: '' }), is: 'internal_user' },
  {
    shows: 'an empty user at the Unix socket with require_client_port: false',
    source: TIDB,
    row: client({ user: '', host: 'localhost' }),
    filter: SOCKETS_TOO,
    is: 'internal_user',
  },
  {
    shows: 'a NULL host',
    source: LIST_MARIADB,
    row: client({ host: null }),
    is: 'no_client_endpoint',
  },
  {
    shows: 'a NULL host with require_client_port: false',
    source: LIST_MARIADB,
    row: client({ host: null }),
    filter: SOCKETS_TOO,
    is: 'no_client_endpoint',
  },
  {
    shows: 'a NULL command',
    source: DEFENSIVE,
    row: client({ command: null }),
    is: 'internal_command',
  },
  {
    shows: 'an empty command',
    source: DEFENSIVE,
    row: client({ command: '' }),
    is: 'internal_command',
  },
  {
    shows: 'a row of NULLs',
    source: DEFENSIVE,
    row: printed('| NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL |'),
    is: 'bad_id',
  },
];

const IDS: readonly RowCase[] = [
  ...(
    [
      ['1', 'MySQL 8.0 mysqld_thd_manager.cc, ids count from 1'],
      ['4294967295', 'MySQL 8.0, my_thread_id is 32 bits'],
      ['4294967296', 'MariaDB 10.11, my_thread_id is 64 bits'],
      ['9007199254740993', TIDB_IDS],
      ['9223372036854775807', CONTRACT],
      ['18446744073709551615', 'MySQL 8.0 sql_show.cc, Id is an unsigned 64-bit integer'],
    ] as const
  ).map(([id, source]): RowCase => ({
    shows: `a client with id ${id}`,
    source,
    row: client({ id }),
    is: 'user session',
  })),
  ...(
    [
      ['18446744073709551616', 'one more than 64 bits hold'],
      ['0', 'MySQL 8.0 mysqld_thd_manager.h, reserved_thread_id'],
      ['00', KILL],
      ['-1', KILL],
      ['+8', KILL],
      ['007', KILL],
      ['1e3', KILL],
      ['8.0', KILL],
      ['0x8', KILL],
      ['8abc', KILL],
      ['8 ', KILL],
      [' 8', KILL],
      ['8\n', KILL],
      ['8;9', KILL],
      ['１２', DEFENSIVE],
      ['', DEFENSIVE],
      ['NaN', DEFENSIVE],
      ['100000000000000000000', CONTRACT],
    ] as const
  ).map(([id, source]): RowCase => ({
    shows: `id ${JSON.stringify(id)}`,
    source,
    row: client({ id }),
    is: 'bad_id',
  })),
];

const HOSTS: readonly RowCase[] = [
  ...['1', '1023', '3306', '65535'].map((port): RowCase => ({
    shows: `a client from port ${port}`,
    source: 'RFC 9293, a port has 16 bits',
    row: client({ host: `10.0.0.5:${port}` }),
    is: 'user session',
  })),
  ...[
    '0',
    '65536',
    '99999',
    '100000',
    '080',
    '-1',
    '+80',
    '1e3',
    ' 80',
    '80 ',
    '80\n',
    '８０',
    '',
  ].map((port): RowCase => ({
    shows: `port ${JSON.stringify(port)}`,
    source: 'RFC 9293, a port has 16 bits',
    row: client({ host: `10.0.0.5:${port}` }),
    is: 'no_client_endpoint',
  })),
  ...(
    [
      ['', TIDB],
      [':', DEFENSIVE],
      [':3306', LIST_80],
      ['%', MYSQL_97],
      ['10.0.0.5', PERFORMANCE_SCHEMA],
      ['10.0.0.%', 'MySQL 8.0 Reference Manual, Account Names'],
      ['10.0.0.0/255.255.255.0', 'MySQL 8.0 Reference Manual, Account Names'],
      ['web-1', LIST_80],
      ['connecting host', MYSQL_97],
      ['localhost', LIST_80],
      ['localhost ', DEFENSIVE],
      ['::', DEFENSIVE],
      ['::1', MARIADB_1011],
      ['::1:80', LIST_80],
      ['fd00::a', 'MySQL 8.0 Reference Manual, IPv6 Support'],
      ['fd00::a:5', MYSQL_97],
      ['fd00::%', 'MySQL 8.0 Reference Manual, IPv6 Support'],
      ['2001:db8:0:1:1:1:1:1', 'MySQL 8.0 Reference Manual, IPv6 Support'],
      ['::ffff:10.0.0.5', 'MySQL 8.0 Reference Manual, IPv6 Support'],
      ['10.0.0.9:3306:53762', MYSQL_97],
      ['a:b:3306', DEFENSIVE],
      ['g::1:51358', DEFENSIVE],
      ['::::51358', DEFENSIVE],
      ['1:2:3:4:5:6:7:8:9:51358', DEFENSIVE],
      ['10.0.0.5 51358', DEFENSIVE],
      ['10.0.0.5;51358', DEFENSIVE],
      ['/var/run/mysqld/mysqld.sock', DEFENSIVE],
      ['\u0000', DEFENSIVE],
      ['\ud800', DEFENSIVE],
      ["' OR 1=1 --", DEFENSIVE],
    ] as const
  ).map(([host, source]): RowCase => ({
    shows: `host ${JSON.stringify(host)}`,
    source,
    row: client({ host }),
    is: 'no_client_endpoint',
  })),
];

export const PROCESS_LIST_ROWS: readonly RowCase[] = [
  ...CLIENTS,
  ...DEFINER_ROUTINES,
  ...SOCKET_CLIENTS,
  ...EVENTS,
  ...REPLICATION,
  ...REPLICATION_STATES,
  ...SERVER_THREADS,
  ...WITH_THREADS,
  ...CUT_HOSTS,
  ...CLIENTS_AND_REPLICATION,
  ...OTHER_INTERNAL_THREADS,
  ...KILLED,
  ...TIDB_ROWS,
  ...OURS,
  ...INTERNAL_ACCOUNTS,
  ...CLIENT_COMMANDS,
  ...MISSING_COLUMNS,
  ...IDS,
  ...HOSTS,
];
