import type { ProcessListRow } from './session.ts';

/**
 * States that only replication's own threads have, in lower case and in the spelling of MySQL 5.6; a prefix where versions end them
 * differently. A client that waits for a replica has others, such as `waiting for the slave sql thread to advance position`.
 * Sources: the stages in mysqld.cc of MySQL 5.6 to 9.7 and of MariaDB 10.5 to 11.8; both manuals, replication thread states.
 */
const REPLICATION_STATES = [
  // The source's side.
  ...['master has sent all binlog to slave', 'has sent all binlog to slave'],
  ...['sending binlog event to slave', 'finished reading one binlog; switching to next binlog'],
  ...['waiting to finalize termination', 'connection delegated to group replication'],
  ...['waiting for semi-sync slave connection', 'reading semi-sync ack from slave'],
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

/** The same in the later spelling, `replica` for `slave` and `source` for `master`, too. */
const REPLICATION_STATE = new RegExp(
  `^(?:${REPLICATION_STATES.join('|')
    .replaceAll('(', '\\(')
    .replaceAll('slave', '(?:slave|replica)')
    .replaceAll('master', '(?:master|source)')})`,
  'i',
);

/** A client that plays back what mysqlbinlog printed applies rows as a worker does. */
const PLAYS_BINLOG = /^(?:\s|\/\*.*?\*\/)*binlog\b/is;

/** True if a row is in a state that no client session can have. */
export function isReplicating({ state, info }: ProcessListRow): boolean {
  return REPLICATION_STATE.test(state ?? '') && !PLAYS_BINLOG.test(info ?? '');
}
