import type { ServiceError } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import type { KillResult, NodeKey } from './node.ts';
import { clientPort, type Session } from './session.ts';

/** What the caller saw of a session: another one that has its id by now is not meant. */
export interface Expectation {
  readonly id: bigint;
  readonly host?: string | undefined;
  readonly user?: string | undefined;
}

/** The caller of a request that ends sessions, as the audit records it. */
export interface Origin {
  readonly requestId: string;
  /** The caller's trace that the request is a part of. */
  readonly traceId?: string | undefined;
  readonly caller: string;
  /** The kind of credentials that proved the caller. */
  readonly proof: string;
  readonly address: string;
  /** The reason that the caller gave. */
  readonly reason: string | undefined;
}

/** What a caller asks for. */
export interface TerminationRequest {
  readonly ids: readonly bigint[];
  readonly expected: readonly Expectation[];
  /** Everything but the KILL. */
  readonly isDryRun: boolean;
  /** How long to wait for the sessions to leave, in milliseconds; undefined: not even to look whether they have. */
  readonly waitMs: number | undefined;
  /** When the request came in, in milliseconds of `performance.now()`. */
  readonly receivedAt: number;
  /** When its answer is due, without the wait. */
  readonly deadline: Deadline;
  /** For the record. */
  readonly origin: Origin;
  /** Hears of each KILL at once. */
  readonly record: (kill: Kill) => void;
}

/** A KILL that was due, and what came of it: for the log. */
export interface Kill extends KillResult {
  readonly node: NodeKey;
  readonly session: Session;
}

/**
 * `killed`: the node accepted the KILL, or is known to have carried it out. `not_found`: no user session has this id; an internal
 * thread counts as none. `failed`: alive, since the node refused the KILL or never got it. `unknown`: no answer came, and it could not be found out.
 */
export type Outcome = 'killed' | 'not_found' | 'failed' | 'unknown';

/** What is left of a killed session: nothing, itself on its way out, or its transaction. */
export type ExitState = 'gone' | 'leaving' | 'rolling_back';

/** What became of one id. */
export interface Entry {
  readonly id: bigint;
  readonly outcome: Outcome;
  /** The user session that was seen, if there was one. */
  readonly session: Session | undefined;
  /** Of a killed one, where it was looked for. */
  readonly fate: ExitState | undefined;
}

/** What became of a request: every distinct id once, in the order of the request. */
export interface Termination {
  readonly entries: readonly Entry[];
  readonly isDryRun: boolean;
  /** Whether a KILL may have reached the node. */
  readonly mayHaveSent: boolean;
  /** The first thing that stood in the way. */
  readonly trouble: ServiceError | undefined;
}

/**
 * Whether a session is still what the caller saw. A host with a port decides alone: it stays while the user can change. Without a port it
 * is the part before the last colon.
 */
export function isExpected(session: Session, { host, user }: Expectation): boolean {
  if (host !== undefined && clientPort(host) !== undefined) return session.host === host;
  const address =
    clientPort(session.host) === undefined
      ? session.host
      : session.host.slice(0, session.host.lastIndexOf(':'));
  return (host ?? address) === address && (user ?? session.user) === session.user;
}
