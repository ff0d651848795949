/**
 * The kind of a failed request:
 * - `unreachable`: no complete answer came
 * - `denied`: 401 or 403
 * - `busy`: 429 or 503, so a retry may work
 * - `refused`: any other 4xx
 * - `failed`: any other 5xx
 * - `malformed`: the answer is not one of this API
 */
export type ErrorKind = 'unreachable' | 'denied' | 'busy' | 'refused' | 'failed' | 'malformed';

/** The facts about a request that failed. */
export interface ErrorFacts {
  readonly kind: ErrorKind;
  readonly status?: number | undefined;
  /** The error code of the service, such as `DBS.200005`. */
  readonly code?: string | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
  /** True if the request may have reached the service. Then the service may have ended sessions. */
  readonly mayHaveArrived: boolean;
  readonly cause?: unknown;
}

/** The only error class of this library. An aborted request rejects with the signal's reason instead. */
export class SessionControlError extends Error {
  override readonly name = 'SessionControlError';
  readonly kind: ErrorKind;
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly mayHaveArrived: boolean;

  constructor(message: string, facts: ErrorFacts) {
    super(message, { cause: facts.cause });
    this.kind = facts.kind;
    this.status = facts.status;
    this.code = facts.code;
    this.requestId = facts.requestId;
    this.retryAfterSeconds = facts.retryAfterSeconds;
    this.mayHaveArrived = facts.mayHaveArrived;
  }
}
