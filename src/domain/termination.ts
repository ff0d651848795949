import type { Sentence, ServiceError } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import type { LockTransaction } from './locks.ts';
import type { KillResult, NodeKey } from './node.ts';
import { clientPort, type Session } from './session.ts';

/** The session that the caller saw under an id. Another session with that id is not killed. */
export interface Expectation {
  readonly id: bigint;
  readonly host?: string | undefined;
  readonly user?: string | undefined;
  /** The beginning of the statement, if only the statement is to be ended. */
  readonly info?: string | undefined;
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

/** The scope of a request that ends only the running statements. The sessions and their transactions live. */
export type Scope = 'statement';

/** A request that ends sessions or statements. */
export interface TerminationRequest {
  readonly ids: readonly bigint[];
  readonly expected: readonly Expectation[];
  readonly scope?: Scope | undefined;
  /** True if no KILL is to be sent. */
  readonly isDryRun: boolean;
  /** True if a dry run is to show the transactions that the KILLs would roll back. */
  readonly areTransactionsWanted?: boolean;
  /** The time to wait for the sessions to leave, in milliseconds; undefined if their states are not requested. */
  readonly waitMs: number | undefined;
  /** The time at which the request came in, in milliseconds of `performance.now()`. */
  readonly receivedAt: number;
  /** The time at which its answer is due, without the wait. */
  readonly deadline: Deadline;
  /** The caller, for the audit. */
  readonly origin: Origin;
  /** Called at once with the result of each KILL. */
  readonly record: (kill: Kill) => void;
}

/** A KILL that was due, with its result, for the log. */
export interface Kill extends KillResult {
  readonly node: NodeKey;
  readonly session: Session;
}

/**
 * `killed`: the node accepted the KILL, or is known to have carried it out. `not_found`: no user session has this id; an internal
 * thread counts as none. `failed`: the session lives, since the node refused the KILL or never got it.
 * `unknown`: no answer came, and the outcome could not be found.
 */
export type Outcome = 'killed' | 'not_found' | 'failed' | 'unknown';

/** The state of a killed session: it has left, is leaving, or its transaction rolls back. */
export type ExitState = 'gone' | 'leaving' | 'rolling_back';

/** The rest of a rollback. */
export interface Rollback {
  readonly rowsLeft: bigint;
  /** An estimate in whole seconds; undefined until the number of rows was seen to fall. */
  readonly secondsLeft: bigint | undefined;
}

/** The outcome of one id. */
export interface Entry {
  readonly id: bigint;
  readonly outcome: Outcome;
  /** The user session that was seen, if there was one. */
  readonly session: Session | undefined;
  /** The state of a killed session, if it was requested. */
  readonly fate: ExitState | undefined;
  /** What is left of a rollback; undefined if the node does not show it. */
  readonly rollback?: Rollback | undefined;
  /** The transaction that a KILL would roll back, null if the session has none. Undefined if it was not requested, or is not shown. */
  readonly transaction?: LockTransaction | null | undefined;
  /** True if the session ran no statement to end. */
  readonly isIdle?: boolean;
  /** True if the session has a transaction after the end of its statement; undefined if that is not known. */
  readonly isInTransaction?: boolean | undefined;
}

/** The result of a request: every distinct id once, in the order of the request. */
export interface Termination {
  readonly entries: readonly Entry[];
  readonly isDryRun: boolean;
  /** True if a KILL may have reached the node. */
  readonly mayHaveSent: boolean;
  /** The first error that kept a session from being killed. */
  readonly trouble: ServiceError | undefined;
  /** The reason why a dry run does not show the transactions; undefined if it does, or if they were not asked for. */
  readonly missingTransactions?: Sentence | undefined;
}

/** Sessions about to be killed. */
export interface Intent {
  readonly origin: Origin;
  readonly node: NodeKey;
  readonly sessions: readonly Session[];
  readonly scope?: Scope | undefined;
  /** True if the sessions are control connections of ours that may still hold a KILL. */
  readonly areOurs?: boolean;
}

/** The outcomes of an intent. */
export interface Conclusion {
  readonly origin: Origin;
  readonly node: NodeKey;
  readonly scope?: Scope | undefined;
  readonly outcomes: readonly { readonly id: bigint; readonly outcome: Outcome }[];
}

/** A request that was refused because of its credentials or the rights of its caller. */
export interface Denial {
  readonly requestId: string;
  readonly traceId?: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly address: string;
  readonly status: number;
  readonly errorCode: string;
  /** The caller, if the credentials proved one. */
  readonly caller: string | undefined;
  readonly proof: string | undefined;
}

/** The record of kills. `FileAudit` in `audit/file-audit.ts` implements it. */
export interface Audit {
  /** Resolves once the intent is on disk. Throws `audit_unavailable` if that fails by the deadline: then no KILL may be sent. */
  intend(intent: Intent, deadline: Deadline): Promise<void>;
  /** Writes the outcomes after it returns. Never throws. */
  conclude(conclusion: Conclusion): void;
  /** Writes the denial after it returns. Never throws. */
  deny(denial: Denial): void;
}

/** An audit that writes nothing. */
export const NO_AUDIT: Audit = {
  intend: () => Promise.resolve(),
  conclude: () => undefined,
  deny: () => undefined,
};

/**
 * Returns true if a session is still the one that the caller saw. A host with a port decides alone, because the user of a session can
 * change. A host without a port is compared with the part of the session's host before the last colon.
 */
export function isExpected(session: Session, { host, user }: Expectation): boolean {
  if (host !== undefined && clientPort(host) !== undefined) return session.host === host;
  const address =
    clientPort(session.host) === undefined
      ? session.host
      : session.host.slice(0, session.host.lastIndexOf(':'));
  return (host ?? address) === address && (user ?? session.user) === session.user;
}
