import type { Sentence } from '../errors.ts';
import type { LockSource } from './locks.ts';

/** The state of a node's ports and of its control account. */
export interface Capabilities {
  /** The reason why no connection opens over the main port; undefined if a connection opens. */
  readonly main: Sentence | undefined;
  /** The same for the spare port; 'none' if the node has no spare port in the registry. */
  readonly admin: Sentence | undefined | 'none';
  /** The error behind the reason, such as `connect ECONNREFUSED …`, if it is known. For operators only: it can hold an address. */
  readonly mainCause: string | undefined;
  readonly adminCause: string | undefined;
  /** The privileges that the control account lacks for the spare port. */
  readonly adminGrants: readonly string[];
  /** True if an open control connection answers, even while both ports refuse new connections. */
  readonly isConnected: boolean;
  /** The server that answered; undefined if none did. */
  readonly server: ServerFacts | undefined;
  /** The key and value of nodes.yaml that pin the server behind the main port. For operators only: they can hold a host name. */
  readonly pin?:
    { readonly key: 'server_uuid' | 'server_identity'; readonly value: string } | undefined;
}

/** The properties of the server that a probe reached. */
export interface ServerFacts {
  readonly flavour: 'mysql' | 'mariadb' | 'tidb';
  /** The version of the product, such as 8.4 or 10.11; `unknown` if a TiDB does not name its own. */
  readonly version: string;
  /** The encryption of the connection. `verified`: TLS with a verified certificate. `encrypted`: TLS without verification. `plain`: no TLS. */
  readonly encryption: 'verified' | 'encrypted' | 'plain';
  /** The name of the control account on the node, such as `session_control@10.0.0.%`. */
  readonly account: string;
  /** The privileges that the control account lacks, such as `PROCESS ON *.*`. Without them the service refuses the node. */
  readonly missingGrants: readonly string[];
  /** True if the node shows a rollback that continues after its session has left the list. */
  readonly canSeeRollbacks: boolean;
  /** True if the account can read `performance_schema.threads`, which shows the threads that serve a client. */
  readonly hasSecondOpinion: boolean;
  /** The number of sessions whose host the node cut, so that the service neither lists nor ends them. Undefined if no list can be read. */
  readonly cutHosts: number | undefined;
  /** True if the node is configured for mysql.rds_kill, and has no such procedure. */
  readonly lacksProcedure: boolean;
  readonly sources: SourceFacts;
}

/** The sources besides the process list. Each is `available`, or the sentence that says why the control account cannot read it. */
export interface SourceFacts {
  readonly transaction: LockSource;
  readonly row: LockSource;
  readonly metadata: LockSource;
  readonly connectionAttributes: LockSource;
  /** The privileges to GRANT for more of these sources, such as `SELECT ON performance_schema.threads`. */
  readonly optionalGrants: readonly string[];
}
