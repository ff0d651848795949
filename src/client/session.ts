/** One client connected to a node, as the API shows it. */
export interface Session {
  readonly id: bigint;
  readonly user: string;
  /** With the client's port, as `10.0.0.4:51234`. */
  readonly host: string;
  readonly db: string;
  readonly command: string;
  /** Seconds in this state. */
  readonly time: number;
  readonly state: string;
  /** The statement, or empty. */
  readonly info: string;
}

/** A node, as the URL names it. */
export interface NodeAddress {
  readonly projectId: string;
  readonly instanceId: string;
  readonly nodeId: string;
}

/** A session to end. With `host` or `user` it is ended only if it still is the one that was seen. */
export interface Target {
  readonly id: bigint;
  readonly host?: string | undefined;
  readonly user?: string | undefined;
}

/** The outcome of one id, in as much detail as the request asked for. `would_kill` is one of a dry run. */
export type Outcome =
  'gone' | 'killed' | 'rolling_back' | 'would_kill' | 'not_found' | 'failed' | 'unknown';

/** One id in an answer with `return=representation`. */
export interface TerminatedSession extends Partial<Omit<Session, 'id' | 'info'>> {
  readonly id: bigint;
  readonly outcome: Outcome;
}

/** What came of every id, each in exactly one of the four. */
export interface Termination {
  readonly killed: readonly bigint[];
  readonly notFound: readonly bigint[];
  /** Not killed: the node refused it, or it was never sent. */
  readonly failed: readonly bigint[];
  /** It could not be found out. */
  readonly unknown: readonly bigint[];
  /** Each id in detail; empty unless it was asked for. */
  readonly sessions: readonly TerminatedSession[];
  /** Why ids are in the last two, in the service's words. */
  readonly trouble: string | undefined;
  /** How long the service was willing to wait for them to leave. */
  readonly waitedSeconds: number | undefined;
  /** One a request that was answered. */
  readonly requestIds: readonly string[];
}

/** What the service could do on a node now. */
export interface Capabilities {
  /** Whether a way in is open, or the connection that the service keeps answers. */
  readonly reachable: boolean;
  /** Whether the connection that the service keeps to it has answered in time; undefined where the service does not say. */
  readonly connected: boolean | undefined;
  /** `open`, or why not. */
  readonly mainPort: string;
  readonly adminPort: string;
  readonly flavour: string | undefined;
  readonly version: string | undefined;
  readonly missingGrants: readonly string[] | undefined;
  readonly rollbackView: boolean | undefined;
  readonly secondOpinion: boolean | undefined;
  /** How many sessions the node shows with a host that it cut off: they are neither listed nor ended. */
  readonly cutHosts: number | undefined;
}
