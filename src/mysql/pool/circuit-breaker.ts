import { backoffMs } from '../../domain/backoff.ts';
import { ServiceError } from '../../errors.ts';

/** So many attempts in a row must have failed before requests are turned away. */
const FAILURES = 3;
const FIRST_PAUSE_MS = 500;
/** A node that is back is seen after so long at the latest. */
const LONGEST_PAUSE_MS = 5000;

/** Keeps requests from waiting for a node that cannot be reached: for a while after the third failure in a row, then one may try. */
export class CircuitBreaker {
  #failures = 0;
  #openUntil = 0;

  /** Throws `overloaded` while the node is left alone. */
  requireClosed(): void {
    const leftMs = this.leftMs();
    if (this.#failures < FAILURES || leftMs <= 0) return;
    const seconds = Math.ceil(leftMs / 1000);
    throw new ServiceError('overloaded', {
      'en-us': `The node could not be reached ${this.#failures} times in a row, and is tried again in ${seconds} s.`,
      'zh-cn': `节点连续${this.#failures}次无法连接，将在${seconds}秒后重试。`,
    });
  }

  /** Whether the last attempt failed. */
  hasFailed(): boolean {
    return this.#failures > 0;
  }

  /** Whether requests are turned away; `half_open`: they were, and whoever comes next may try. */
  get state(): 'closed' | 'open' | 'half_open' {
    if (this.#failures < FAILURES) return 'closed';
    return this.leftMs() > 0 ? 'open' : 'half_open';
  }

  /** Returns whether that ends a time in which requests were turned away. */
  succeeded(): boolean {
    const wasClosed = this.state === 'closed';
    this.#failures = 0;
    this.#openUntil = 0;
    return !wasClosed;
  }

  /** Returns whether from now on requests are turned away that were not before. */
  failed(): boolean {
    this.#failures += 1;
    const pauseMs = backoffMs(this.#failures - 1, FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
    this.#openUntil = performance.now() + pauseMs;
    return this.#failures === FAILURES;
  }

  /** For how many milliseconds more it is to be left alone. */
  leftMs(): number {
    return Math.max(0, this.#openUntil - performance.now());
  }
}
