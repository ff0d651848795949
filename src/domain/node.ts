import { isIPv4 } from 'node:net';
import type { Sentence, ServiceError } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import type { Incarnation, ProcessListRow, Session } from './session.ts';

/** The three ids of the URL that name a node. */
export interface NodeKey {
  readonly projectId: string;
  readonly instanceId: string;
  readonly nodeId: string;
}

/** One MySQL-compatible server, and how to reach it with the control account. */
export interface Node extends NodeKey {
  readonly host: string;
  readonly port: number;
  /** Where the control account gets in when the node has no connection left: MySQL's `admin_port`, MariaDB's `extra_port`. */
  readonly admin?: { readonly host: string; readonly port: number } | undefined;
  readonly user: string;
  readonly password: string;
  readonly tls: NodeTls;
  /** When given, no other server is accepted, over either port: MySQL's `server_uuid`, in lower case. */
  readonly serverUuid?: string | undefined;
  /** The same for servers without a `server_uuid`: `hostname:port:server_id`, in lower case. */
  readonly serverIdentity?: string | undefined;
  /** `rds_kill`: the account may not KILL, but CALL mysql.rds_kill. */
  readonly killWith: 'kill' | 'rds_kill';
  /** Accounts that are internal on this node only. */
  readonly internalUsers: readonly string[];
  readonly connectTimeoutMs: number;
  readonly listTimeoutMs: number;
  readonly killTimeoutMs: number;
}

/** `offered`: encrypted when the node offers it, not verified; `disabled`: never; else verified against this authority, never downgraded. */
export type NodeTls =
  'offered' | 'disabled' | { readonly ca: string; readonly serverName: string | undefined };

/** The nodes that exist, and how to reach them. `registry/node-registry.ts` fills it. */
export interface NodeRegistry {
  /** Returns the node. Throws `instance_not_found` if the project has no such instance, else `node_not_found`. */
  find(key: NodeKey): Node;
}

/** Gives requests control connections to nodes. `MysqlNodes` in `mysql/mysql-nodes.ts` fills it. */
export interface Nodes {
  /**
   * Runs `work` with a control connection that other requests may use at the same time. If an open one breaks before it gave a list, or no
   * longer reaches the node, `work` begins again with a new one.
   * Throws `node_unavailable` if the node cannot be reached by the deadline, or refuses the control account; `overloaded` if too many requests
   * wait for this node, or it could not be reached lately.
   */
  withConnection<T>(
    node: Node,
    deadline: Deadline,
    work: (connection: ControlConnection) => Promise<T>,
  ): Promise<T>;
  /** Opens a connection of its own to each port of the node, and returns what could be done over it. Never throws. */
  probe(node: Node, deadline: Deadline): Promise<Capabilities>;
}

/** The session ids of control connections. */
export interface OwnSessions {
  readonly ids: ReadonlySet<bigint>;
  /** False while one is being opened, whose id is not known yet. */
  readonly areAll: boolean;
}

/**
 * A connection of the control account to one incarnation of a node; it never reconnects. `LeasedConnection` in `mysql/control-connection.ts`
 * fills it. Each statement has the timeout of the node's settings, or the time until the deadline if that is less. A statement without an
 * answer in time breaks the connection.
 */
export interface ControlConnection {
  /** Its own session id on the node. */
  readonly id: bigint;
  readonly incarnation: Incarnation;
  /** True if the node can list a session that a KILL has ended: TiDB. */
  readonly listsTheDying: boolean;
  /** True if a session can leave the list before its transaction is rolled back: MySQL. */
  readonly hidesRollbacks: boolean;
  /** Returns our control connections to this incarnation, under any account, also those closed at most 10 s ago. */
  ours(): OwnSessions;
  /**
   * Reads the process list, never one that was asked for before this call. Callers that arrive during a read share the next one.
   * It may be a part that shows the `wanted` sessions and this connection.
   * Throws `node_unavailable`, also if the list does not show this connection, or the node's main port reaches another server.
   */
  list(deadline: Deadline, wanted?: readonly bigint[]): Promise<ProcessList>;
  /** Sends KILL for a listed session, and returns the outcome. Never throws. */
  kill(session: Session, limits: KillLimits): Promise<KillResult>;
  /**
   * Sends KILL for listed sessions, in their order, and where the node allows it many before the first is answered. Calls `onResult` with
   * the outcome of each KILL that was sent. Returns the sessions whose KILL was not sent. Never throws.
   */
  killAhead(
    sessions: readonly Session[],
    limits: KillLimits,
    onResult: (session: Session, result: KillResult) => void,
  ): Promise<readonly Session[]>;
  /**
   * Returns the listed sessions that the node is known to refuse to end, with the reason, and sends no KILL. The node can refuse others too.
   * Throws `node_unavailable`.
   */
  predictRefusals(
    sessions: readonly Session[],
    deadline: Deadline,
  ): Promise<ReadonlyMap<bigint, ServiceError>>;
  /** Returns the sessions, listed or not, that have a transaction; undefined if the node does not show them. Throws `node_unavailable`. */
  transactions(deadline: Deadline): Promise<ReadonlyMap<bigint, TransactionState> | undefined>;
}

/** The time limits of a KILL. */
export interface KillLimits {
  /** The KILL is not sent later: the list that shows its session is too old then. */
  readonly sendBy: Deadline;
  /** A KILL without an answer by then breaks the connection. */
  readonly deadline: Deadline;
}

export type TransactionState = 'open' | 'rolling_back';

/** The threads of a node at one moment, or some of them. */
export interface ProcessList {
  readonly rows: readonly ProcessListRow[];
  /** The time at which it was asked for, in milliseconds of `performance.now()`: it shows no earlier moment. */
  readonly askedAt: number;
  /** True if the node may have more threads than it shows. */
  readonly isPart?: boolean;
}

/** The outcome of a KILL, and the error that it got or that kept it from being sent. */
export interface KillResult {
  readonly outcome: KillOutcome;
  readonly trouble?: ServiceError | undefined;
}

/**
 * `killed`: the node accepted the KILL. `not_found`: the session has left. `refused`: the node does not end it.
 * `not_sent`: the node did not get the KILL, or denied it for a reason that a new connection can change: it had no effect. `unknown`: it was sent, and no answer came.
 */
export type KillOutcome = 'killed' | 'not_found' | 'refused' | 'not_sent' | 'unknown';

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

/** True for `localhost` and the addresses of the loopback interface: what goes there leaves no machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
