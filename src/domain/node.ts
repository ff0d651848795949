import { isIPv4 } from 'node:net';
import type { ServiceError } from '../errors.ts';
import type { Capabilities } from './capabilities.ts';
import type { Deadline } from './deadline.ts';
import type { Incarnation } from './incarnation.ts';
import type { ProcessListRow, Session } from './session.ts';

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

/** What knows which nodes exist and where. Implemented in src/registry. */
export interface NodeRegistry {
  /** The node; throws `instance_not_found` when the project has no such instance, then `node_not_found`. */
  find(key: NodeKey): Node;
}

/** Lends control connections to nodes. Implemented over MySQL in src/mysql. */
export interface Nodes {
  /**
   * Runs `work` with a control connection, which others may use at the same time. If a warm one breaks before it gave a list, or no longer
   * reaches the node, `work` begins again with a new one.
   * Throws `node_unavailable` when the node cannot be reached in time, which ends at the deadline at the latest, or refuses the control account;
   * `overloaded` when too many wait for this node, or it could not be reached lately.
   */
  withConnection<T>(
    node: Node,
    deadline: Deadline,
    work: (connection: ControlConnection) => Promise<T>,
  ): Promise<T>;
  /** Tries each way into the node, whatever connections there are. Never throws. */
  probe(node: Node, deadline: Deadline): Promise<Capabilities>;
}

/** The session ids of control connections. */
export interface OwnSessions {
  readonly ids: ReadonlySet<bigint>;
  /** False while one is being opened, whose id is not known yet. */
  readonly areAll: boolean;
}

/**
 * A connection under the control account to one incarnation of a node; it never reconnects. Each statement has the time limit that the
 * node's settings give it, or what is left until the deadline if that is less. One that is not answered in time costs the connection.
 */
export interface ControlConnection {
  /** Its own session id on the node. */
  readonly id: bigint;
  readonly incarnation: Incarnation;
  /** Whether a session that is listed after its KILL may be dying all the same, so that being listed proves nothing: TiDB. */
  readonly listsTheDying: boolean;
  /** Whether a session can be listed no more while its transaction is rolled back: MySQL. */
  readonly hidesRollbacks: boolean;
  /** Our control connections to this incarnation, under whichever account, those of a moment ago included. */
  ours(): OwnSessions;
  /**
   * Reads the process list, once for all who ask while another one is being read: it was asked for after each of them did.
   * It may be a part, if that shows all the `wanted` ones and this very connection.
   * Throws `node_unavailable`, also when the list does not show this very connection, or the node's main port reaches another server.
   */
  list(deadline: Deadline, wanted?: readonly bigint[]): Promise<ProcessList>;
  /** Sends KILL for a listed session, and tells what came of it. Never throws. */
  kill(session: Session, limits: KillLimits): Promise<KillResult>;
  /**
   * Sends KILL for listed sessions, in their order, and where the node allows it many before the first is answered. Calls `told` with the
   * outcome of each KILL that was sent. Resolves with the sessions whose KILL was not sent. Never throws.
   */
  killAhead(
    sessions: readonly Session[],
    limits: KillLimits,
    told: (session: Session, result: KillResult) => void,
  ): Promise<readonly Session[]>;
  /**
   * Returns the listed sessions that the node is known to refuse to end, with the reason, and sends no KILL. The node can refuse others too.
   * Throws `node_unavailable`.
   */
  predictRefusals(
    sessions: readonly Session[],
    deadline: Deadline,
  ): Promise<ReadonlyMap<bigint, ServiceError>>;
  /** The sessions, listed or not, that have a transaction; undefined where that cannot be seen. Throws `node_unavailable`. */
  transactions(deadline: Deadline): Promise<ReadonlyMap<bigint, TransactionState> | undefined>;
}

/** Until when a KILL may be sent, which is as long as the list is fresh that shows its session, and until when it must be answered. */
export interface KillLimits {
  readonly sendBy: Deadline;
  readonly deadline: Deadline;
}

export type TransactionState = 'open' | 'rolling_back';

/** All threads of a node at one moment, or some of them. */
export interface ProcessList {
  readonly rows: readonly ProcessListRow[];
  /** When it was asked for, in milliseconds of `performance.now()`: it is at least as young as this. */
  readonly askedAt: number;
  /** Whether there may be more threads than it shows. */
  readonly isPart?: boolean;
}

/** What came of a KILL, and what stood in its way. */
export interface KillResult {
  readonly outcome: KillOutcome;
  readonly trouble?: ServiceError | undefined;
}

/**
 * `killed`: the node accepted the KILL. `not_found`: it knows no such session any more. `refused`: it will not end this one.
 * `not_sent`: the KILL never left. `unknown`: it was sent and no answer came.
 */
export type KillOutcome = 'killed' | 'not_found' | 'refused' | 'not_sent' | 'unknown';

/** True for `localhost` and the addresses of the loopback interface: what goes there leaves no machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
