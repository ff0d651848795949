import { isIPv4 } from 'node:net';
import type { Sentence, ServiceError } from '../errors.ts';
import type { Capabilities } from './capabilities.ts';
import type { Deadline } from './deadline.ts';
import type { LockReading, TransactionReading } from './locks.ts';
import type { Incarnation, ProcessListRow, Session } from './session.ts';
import type { RunningStatement, StatementLook } from './statement.ts';

/** The three ids of the URL that name a node. */
export interface NodeKey {
  readonly projectId: string;
  readonly instanceId: string;
  readonly nodeId: string;
}

/** One MySQL-compatible server, and how to reach it with the control account. */
export interface Node extends NodeKey {
  /** A name for people, unique in the project. */
  readonly name?: string | undefined;
  readonly host: string;
  readonly port: number;
  /** The spare port, for when the main port is full: MySQL's `admin_port`, MariaDB's `extra_port`. */
  readonly admin?: { readonly host: string; readonly port: number } | undefined;
  readonly user: string;
  readonly password: string;
  readonly tls: NodeTls;
  /** The only server that either port may reach: MySQL's `server_uuid`, in lower case. Undefined if any server may be reached. */
  readonly serverUuid?: string | undefined;
  /** The same for servers without a `server_uuid`: `hostname:port:server_id`, in lower case. */
  readonly serverIdentity?: string | undefined;
  /** `rds_kill`: the account lacks the privilege to KILL, and calls the procedure mysql.rds_kill instead. */
  readonly killWith: 'kill' | 'rds_kill';
  /** Accounts that are internal on this node only. */
  readonly internalUsers: readonly string[];
  readonly connectTimeoutMs: number;
  readonly listTimeoutMs: number;
  readonly killTimeoutMs: number;
}

/** `offered`: TLS without verification, if the node offers TLS. `disabled`: no TLS. Otherwise always TLS, verified against this authority. */
export type NodeTls = 'offered' | 'disabled' | VerifiedTls;

/** TLS with verification. The certificates and keys are in PEM. */
export interface VerifiedTls {
  /** The authority that must have signed the node's certificate. */
  readonly ca: string;
  /** The name in the node's certificate; undefined for the host of the node. */
  readonly serverName: string | undefined;
  /** The certificate that the service shows to the node, and its key; undefined for none. */
  readonly client?: { readonly cert: string; readonly key: string } | undefined;
}

/** The nodes that exist, and how to reach them. `FileRegistry` in `registry/node-registry.ts` implements it. */
export interface NodeRegistry {
  /** Returns the node. Throws `instance_not_found` if the project has no such instance, else `node_not_found`. */
  find(key: NodeKey): Node;
  /** Returns the nodes of the project, by instance id and node id. */
  list(projectId: string): readonly Node[];
}

/** Gives requests control connections to nodes. `MysqlNodes` in `mysql/mysql-nodes.ts` implements it. */
export interface Nodes {
  /**
   * Runs `work` with a control connection, which other requests may use at the same time. Runs `work` again with a new connection if an open
   * one breaks before its first list, or no longer reaches the node.
   * Throws `node_unavailable` if the node cannot be reached by the deadline, or refuses the control account. Throws `overloaded` if too many
   * requests wait for this node, or the last attempts to reach the node failed.
   */
  withConnection<T>(
    node: Node,
    deadline: Deadline,
    work: (connection: ControlConnection) => Promise<T>,
  ): Promise<T>;
  /** Opens a new connection to each port of the node, and returns the state of the ports and of the control account. Never throws. */
  probe(node: Node, deadline: Deadline): Promise<Capabilities>;
}

/** The session ids of control connections. */
export interface OwnSessions {
  readonly ids: ReadonlySet<bigint>;
  /** False while a control connection opens: its id is not known yet. */
  readonly areAll: boolean;
}

/**
 * A connection of the control account to one incarnation of a node; it never reconnects. `LeasedConnection` in
 * `mysql/control-connection.ts` implements it. Each statement has the timeout of the node's settings, or the time until the deadline if
 * that is less. A statement without an answer in time breaks the connection.
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
   * Returns a process list whose read begins after this call. Callers that arrive during a read share the next read. With `wanted`, the list
   * can be partial: it shows those sessions and this connection.
   * Throws `node_unavailable`, also if the list does not show this connection, or the node's main port reaches another server.
   */
  list(deadline: Deadline, wanted?: readonly bigint[]): Promise<ProcessList>;
  /**
   * Sends KILL for a listed session, or for the statement that it was seen to run, and returns the outcome. If the KILL takes the
   * statement's id, a statement that has ended is `not_found`. Never throws.
   */
  kill(session: Session, limits: KillLimits, statement?: RunningStatement): Promise<KillResult>;
  /**
   * Sends KILL for listed sessions, in their order; many before the first answer, if the node allows that. Calls `onResult` with the outcome
   * of each KILL that was sent. Returns the sessions whose KILL was not sent. Never throws.
   */
  killAhead(
    sessions: readonly Session[],
    limits: KillLimits,
    onResult: (session: Session, result: KillResult) => void,
  ): Promise<readonly Session[]>;
  /**
   * Returns the sessions whose KILL the node is known to refuse, with the reason. Sends no KILL. The node can refuse others too.
   * With `areStatements`, the KILLs are for the statements of the sessions. Throws `node_unavailable`.
   */
  predictRefusals(
    sessions: readonly Session[],
    deadline: Deadline,
    areStatements?: boolean,
  ): Promise<ReadonlyMap<bigint, ServiceError>>;
  /** Reads the statements that these listed sessions run. Throws `node_unavailable`. */
  statements(sessions: readonly Session[], deadline: Deadline): Promise<StatementLook>;
  /** Returns a listed session with its whole statement; undefined if the session has left. Throws `node_unavailable`. */
  describe(session: Session, deadline: Deadline): Promise<SessionDescription | undefined>;
  /** Returns the open transactions. Throws `node_unavailable`. */
  transactions(deadline: Deadline): Promise<TransactionReading>;
  /**
   * Returns the locks that sessions wait for, as the node showed them at most 2 s ago. Reads a kind of lock only if a session waits for
   * one; on TiDB always reads row locks. Locks that the node does not show are missing, and `sources` has the reason. Throws
   * `node_unavailable`.
   */
  locks(list: ProcessList, deadline: Deadline): Promise<LockReading>;
}

/** A session with its whole statement, as far as the node shows it. */
export interface SessionDescription {
  readonly session: Session;
  /** True if the node may have cut the statement. */
  readonly isInfoTruncated: boolean;
  /** The attributes that the client's program sent at the login, by name; or the sentence that says why the node does not show them. */
  readonly attributes: ReadonlyMap<string, string> | Sentence;
}

/** The time limits of a KILL. */
export interface KillLimits {
  /** No KILL is sent after this time: the list that shows its session is too old then. */
  readonly sendBy: Deadline;
  /** A KILL without an answer by then breaks the connection. */
  readonly deadline: Deadline;
}

/** The threads of a node at one moment, or some of them. */
export interface ProcessList {
  readonly rows: readonly ProcessListRow[];
  /** The time at which the read began, in milliseconds of `performance.now()`. The list shows no earlier moment. */
  readonly askedAt: number;
  /** True if the node may have more threads than the list shows. */
  readonly isPart?: boolean;
}

/** The outcome of a KILL, and the error from the node or the error that prevented the KILL. */
export interface KillResult {
  readonly outcome: KillOutcome;
  readonly trouble?: ServiceError | undefined;
}

/**
 * `killed`: the node accepted the KILL. `not_found`: the session has left, or its statement has ended. `refused`: the node does not end it.
 * `not_sent`: the node did not get the KILL, or denied it for a reason that a new connection can change. The KILL had no effect.
 * `unknown`: the KILL was sent, and no answer shows whether it ran.
 */
export type KillOutcome = 'killed' | 'not_found' | 'refused' | 'not_sent' | 'unknown';

/** Returns true for `localhost` and the addresses of the loopback interface: traffic to them stays on the machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
