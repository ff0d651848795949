/**
 * What went wrong with a request, in the caller's terms:
 * `unreachable` no whole answer came; `denied` 401 and 403; `busy` 429 and 503, so that another try may help; `refused` what else
 * the service did not take (4xx); `failed` the service or the node failed (5xx); `malformed` the answer is none of this API's.
 */
export type ErrorKind = 'unreachable' | 'denied' | 'busy' | 'refused' | 'failed' | 'malformed';

/** What is known of a request that failed. */
export interface ErrorFacts {
  readonly kind: ErrorKind;
  readonly status?: number | undefined;
  /** Such as `DBS.200005`. */
  readonly code?: string | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
  /** Whether the request may have reached the service: then a kill may have been carried out. */
  readonly mayHaveArrived: boolean;
  readonly cause?: unknown;
}

/** The one error of this library. An aborted request rejects with the signal's reason instead. */
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
