import { backoffMs } from '../../domain/deadline.ts';
import { ServiceError } from '../../errors.ts';

/** After this many failed attempts in a row the breaker opens. */
const FAILURES = 3;
const FIRST_PAUSE_MS = 500;
/** The longest pause between two attempts: a node that is back is seen within it. */
const LONGEST_PAUSE_MS = 5000;

/** Refuses requests to a node after the third failed attempt in a row, for at most 5 s; then the next request tries again. */
export class CircuitBreaker {
  #failures = 0;
  #openUntil = 0;

  /** Throws `overloaded` while the breaker is open. */
  requireClosed(): void {
    const leftMs = this.leftMs();
    if (this.#failures < FAILURES || leftMs <= 0) return;
    const seconds = Math.ceil(leftMs / 1000);
    throw new ServiceError('overloaded', {
      'en-us': `The node could not be reached ${this.#failures} times in a row, and is tried again in ${seconds} s.`,
      'zh-cn': `节点连续${this.#failures}次无法连接，将在${seconds}秒后重试。`,
    });
  }

  /** Returns true if the last attempt failed. */
  hasFailed(): boolean {
    return this.#failures > 0;
  }

  /** `open`: requests are refused; `half_open`: the next request tries the node. */
  get state(): 'closed' | 'open' | 'half_open' {
    if (this.#failures < FAILURES) return 'closed';
    return this.leftMs() > 0 ? 'open' : 'half_open';
  }

  /** Notes a successful attempt. Returns true if that closed the breaker. */
  succeeded(): boolean {
    const wasClosed = this.state === 'closed';
    this.#failures = 0;
    this.#openUntil = 0;
    return !wasClosed;
  }

  /** Notes a failed attempt. Returns true if that opened the breaker for the first time. */
  failed(): boolean {
    this.#failures += 1;
    const pauseMs = backoffMs(this.#failures - 1, FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
    this.#openUntil = performance.now() + pauseMs;
    return this.#failures === FAILURES;
  }

  /** Returns the time until the next attempt is due, in milliseconds. */
  leftMs(): number {
    return Math.max(0, this.#openUntil - performance.now());
  }
}
