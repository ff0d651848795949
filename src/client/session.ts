/** One client connected to a node, as the API shows it. */
export interface Session {
  readonly id: bigint;
  readonly user: string;
  /** The client's address with its port, such as `10.0.0.4:51234`. */
  readonly host: string;
  readonly db: string;
  readonly command: string;
  /** The time in this state, in seconds. */
  readonly time: number;
  readonly state: string;
  /** The statement, or an empty string. */
  readonly info: string;
  /** Null if no transaction was seen; undefined if the caller did not request it, or if the node does not show it. */
  readonly transaction?: Transaction | null | undefined;
}

/** An open transaction of a session. */
export interface Transaction {
  /** `RUNNING`, `LOCK WAIT`, `ROLLING BACK` or `COMMITTING`. */
  readonly state: string;
  /** The age of the transaction in seconds, by the clock of the node. */
  readonly seconds: number;
  readonly rowsLocked: bigint;
  /** The number of changes that a kill rolls back. */
  readonly rowsModified: bigint;
}

/** The user sessions of a node in numbers. */
export interface SessionSummary {
  readonly total: number;
  /** The number of sessions by command. */
  readonly byCommand: Readonly<Record<string, number>>;
  /** The 50 largest groups, the largest first. */
  readonly groups: readonly SessionGroup[];
  /** The number of sessions in all other groups. */
  readonly other: number;
  /** The five sessions with the longest time: first those that run something, then idle ones. */
  readonly longest: readonly Session[];
  /** The number of sessions that wait for a lock; undefined if the node does not show its transactions. */
  readonly blocked: number | undefined;
  readonly transactions: { readonly open: number; readonly longestSeconds: number } | undefined;
  /** The reason why `blocked` and `transactions` are undefined. */
  readonly missingTransactions: string | undefined;
}

/** Sessions that share account, client, database and command. */
export interface SessionGroup {
  readonly user: string;
  /** The client's address without its port. */
  readonly host: string;
  readonly db: string;
  readonly command: string;
  readonly count: number;
  /** The longest time of these sessions, in seconds. */
  readonly maxTime: number;
}

/** The three ids that name a node in a URL. */
export interface NodeAddress {
  readonly projectId: string;
  readonly instanceId: string;
  readonly nodeId: string;
}

/** A session to end. With `host` or `user`, the service ends the session only if they still match. */
export interface Target {
  readonly id: bigint;
  readonly host?: string | undefined;
  readonly user?: string | undefined;
  /** The text with which the statement must still begin. Used with the scope `statement` only. */
  readonly info?: string | undefined;
}

/**
 * The outcome of one id. `gone` and `rolling_back` need `isDetailed` or `waitSeconds`; `would_kill` comes from a dry run. `stopped` and `idle`
 * come with the scope `statement`: the statement was ended, or the session ran none.
 */
export type Outcome =
  | 'gone'
  | 'killed'
  | 'rolling_back'
  | 'would_kill'
  | 'stopped'
  | 'idle'
  | 'not_found'
  | 'failed'
  | 'unknown';

/** The entry of one id in a detailed result. */
export interface TerminatedSession extends Partial<Omit<Session, 'id' | 'info'>> {
  readonly id: bigint;
  readonly outcome: Outcome;
  /** In a dry run, the transaction that the kill would roll back; null if there is none. Undefined if the node does not show it. */
  readonly transaction?: Transaction | null | undefined;
  /** The number of changes that a rollback has yet to undo. Undefined if the node does not show it. */
  readonly rowsLeft?: bigint | undefined;
  /** An estimate for the rest of a rollback, in seconds. Undefined until the wait has seen it proceed. */
  readonly secondsLeft?: number | undefined;
  /** With the scope `statement`: true if the session has a transaction afterwards. Undefined if the node does not show it. */
  readonly transactionOpen?: boolean;
}

/** The outcomes of a kill. Each id is in exactly one of `killed`, `notFound`, `failed` and `unknown`. */
export interface Termination {
  readonly killed: readonly bigint[];
  readonly notFound: readonly bigint[];
  /** Ids that were not killed: the node refused, or no KILL was sent. */
  readonly failed: readonly bigint[];
  /** Ids whose outcome the service could not find out. */
  readonly unknown: readonly bigint[];
  /** One entry per id; empty unless `isDetailed` or `waitSeconds` was given. */
  readonly sessions: readonly TerminatedSession[];
  /** The message about the ids in `failed` and `unknown`. */
  readonly trouble: string | undefined;
  /** The reason why a dry run shows no transactions. */
  readonly missingTransactions?: string | undefined;
  /** The time limit that the service applied to the wait, in seconds; undefined if it did not wait. */
  readonly waitedSeconds: number | undefined;
  /** The id of each request that was answered. */
  readonly requestIds: readonly string[];
}

/** The capabilities of the service on a node. */
export interface Capabilities {
  /** True if a port is open, or the warm connection answers. */
  readonly reachable: boolean;
  /** True if the warm connection of the service has answered in time; undefined if the service does not report this. */
  readonly connected: boolean | undefined;
  /** `open`, or the cause why the port is closed. */
  readonly mainPort: string;
  /** `open`, `not configured`, or the cause why the spare port is closed. */
  readonly adminPort: string;
  readonly flavour: string | undefined;
  readonly version: string | undefined;
  readonly missingGrants: readonly string[] | undefined;
  readonly rollbackView: boolean | undefined;
  readonly secondOpinion: boolean | undefined;
  /** The number of sessions whose host the node has truncated. The service neither lists nor ends these sessions. */
  readonly cutHosts: number | undefined;
  /** For `transaction`, `connection_attributes`, `row` and `metadata`: `available`, or the reason why the service cannot read it. */
  readonly sources: Readonly<Record<string, string>> | undefined;
  /** The privileges to GRANT to the control account for more of these sources. */
  readonly optionalGrants: readonly string[] | undefined;
}
