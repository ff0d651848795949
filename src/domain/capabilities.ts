import type { Sentence } from '../errors.ts';

/** The answer to what the service could do on a node now. */
export interface Capabilities {
  /** Why the main port lets nobody in; undefined when it does. */
  readonly main: Sentence | undefined;
  /** The same of the spare way in; 'none' when the node has none in the registry. */
  readonly admin: Sentence | undefined | 'none';
  /** What stands behind either, such as `connect ECONNREFUSED …`, if it is known: for operators only, since it has addresses. */
  readonly mainCause: string | undefined;
  readonly adminCause: string | undefined;
  /** What to GRANT the control account before the spare way lets it in. */
  readonly adminGrants: readonly string[];
  /** True if an open control connection answers: it works also while both ports refuse new connections. */
  readonly isConnected: boolean;
  /** The server that answered; undefined if none did. */
  readonly server: ServerFacts | undefined;
  /** The line of nodes.yaml that pins the server which the main port reached: for operators only, since it can hold a host name. */
  readonly pin?:
    { readonly key: 'server_uuid' | 'server_identity'; readonly value: string } | undefined;
}

export interface ServerFacts {
  readonly flavour: 'mysql' | 'mariadb' | 'tidb';
  /** The version of the product, such as 8.4 or 10.11; `unknown` if a TiDB does not name its own. */
  readonly version: string;
  /** `verified`: TLS with a checked certificate; `encrypted`: TLS without a check; `plain`: no TLS. */
  readonly line: 'verified' | 'encrypted' | 'plain';
  /** The control account as the node knows it, such as `session_control@10.0.0.%`. */
  readonly account: string;
  /** What to GRANT the control account, such as `PROCESS ON *.*`; without it the node is refused. */
  readonly missingGrants: readonly string[];
  /** True if the node shows a rollback that goes on after its session has left the list. */
  readonly canSeeRollbacks: boolean;
  /** True if `performance_schema.threads` can be read: it shows which threads serve a client. */
  readonly hasSecondOpinion: boolean;
  /** How many sessions have a host that the node cut off, so that they are neither listed nor ended; undefined if no list can be read. */
  readonly cutHosts: number | undefined;
  /** True if sessions are to be ended with mysql.rds_kill, and the node has no such procedure. */
  readonly lacksProcedure: boolean;
}
