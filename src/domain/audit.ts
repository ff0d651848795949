import type { Deadline } from './deadline.ts';
import type { NodeKey } from './node.ts';
import type { Session } from './session.ts';
import type { Origin, Outcome } from './termination.ts';

/** Sessions about to be killed. */
export interface Intent {
  readonly origin: Origin;
  readonly node: NodeKey;
  readonly sessions: readonly Session[];
  /** Whether they are not clients but a control connection of ours that may still hold a KILL. */
  readonly areOurs?: boolean;
}

/** What came of an intent. */
export interface Conclusion {
  readonly origin: Origin;
  readonly node: NodeKey;
  readonly outcomes: readonly { readonly id: bigint; readonly outcome: Outcome }[];
}

/** A request that was turned away for want of credentials or rights. */
export interface Denial {
  readonly requestId: string;
  readonly traceId?: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly address: string;
  readonly status: number;
  readonly errorCode: string;
  /** Where the credentials proved somebody. */
  readonly caller: string | undefined;
  readonly proof: string | undefined;
}

/** The record of kills. Implemented in src/audit. */
export interface Audit {
  /** Resolves when it is on disk. Throws `audit_unavailable` when that cannot be done, or not by the deadline: then nothing may be killed. */
  intend(intent: Intent, deadline: Deadline): Promise<void>;
  /** Puts down what came of it, soon. Never throws: it changes nothing that was done. */
  conclude(conclusion: Conclusion): void;
  /** Puts down who was turned away, soon. Never throws. */
  deny(denial: Denial): void;
}

/** No record at all. */
export const NO_AUDIT: Audit = {
  intend: () => Promise.resolve(),
  conclude: () => undefined,
  deny: () => undefined,
};
