import type { Deadline } from './deadline.ts';
import type { NodeKey } from './node.ts';
import type { Session } from './session.ts';
import type { Origin, Outcome } from './termination.ts';

/** Sessions about to be killed. */
export interface Intent {
  readonly origin: Origin;
  readonly node: NodeKey;
  readonly sessions: readonly Session[];
  /** True if they are not clients' but a control connection of ours that may still hold a KILL. */
  readonly areOurs?: boolean;
}

/** The outcomes of an intent. */
export interface Conclusion {
  readonly origin: Origin;
  readonly node: NodeKey;
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

/** The record of kills. `audit/file-audit.ts` fills it. */
export interface Audit {
  /** Resolves when the intent is on disk. Throws `audit_unavailable` if it is not by the deadline: then no KILL may be sent. */
  intend(intent: Intent, deadline: Deadline): Promise<void>;
  /** Writes the outcomes soon. Never throws. */
  conclude(conclusion: Conclusion): void;
  /** Writes the denial soon. Never throws. */
  deny(denial: Denial): void;
}

/** An audit that writes nothing. */
export const NO_AUDIT: Audit = {
  intend: () => Promise.resolve(),
  conclude: () => undefined,
  deny: () => undefined,
};
