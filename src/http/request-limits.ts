/** How much one request may ask for. */
export interface RequestLimits {
  /** The whole request, without a wait that was asked for. */
  readonly requestTimeoutMs: number;
  /** The longest wait that a caller may ask for. */
  readonly maxWaitSeconds: number;
  readonly maxProcesses: number;
  readonly maxBodyBytes: number;
  /** Whether a DELETE must say why. */
  readonly isReasonRequired: boolean;
  /** A caller; an address may use ten times as many. */
  readonly requestsPerMinute: number;
}
