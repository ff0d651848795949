import { setTimeout as pause } from 'node:timers/promises';
import { isSameRun, type Incarnation } from '../domain/session.ts';

/** The server renews its copy of `innodb_trx` only if nobody has read it for 100 ms. The rest is a margin. */
const MIN_PAUSE_MS = 150;
/** The lock tables are read at most once in this time. */
const MAX_AGE_MS = 2000;

interface Shared<T> {
  readonly incarnation: Incarnation;
  readonly answer: Promise<T>;
  /** The time until which the answer may be reused, in monotonic milliseconds; Infinity until the answer arrives. */
  until: number;
}

/** Lets all requests to one node share the reads of its locks. */
export class SharedLockReads<T, L> {
  /** The read that has not started yet. New callers share it. */
  #next: Shared<T> | undefined;
  #sentAt = -Infinity;
  #locks: Shared<L> | undefined;

  /**
   * Returns the answer of `read`, or of another caller's read that is sent after this call. Sends at most one read in 150 ms. Throws the
   * error of the read.
   */
  transactions(incarnation: Incarnation, read: () => Promise<T>): Promise<T> {
    const next = this.#next;
    if (next !== undefined && isSameRun(next.incarnation, incarnation)) return next.answer;
    const answer = this.#afterPause(read, () => shared);
    const shared: Shared<T> = { incarnation, answer, until: Infinity };
    this.#next = shared;
    return shared.answer;
  }

  /** Returns the answer of `read`, or of another caller's read that is under way or ended at most 2 s ago. Throws the error of the read. */
  locks(incarnation: Incarnation, read: () => Promise<L>): Promise<L> {
    const last = this.#locks;
    if (last !== undefined && performance.now() < last.until) {
      if (isSameRun(last.incarnation, incarnation)) return last.answer;
    }
    const shared: Shared<L> = { incarnation, answer: read(), until: Infinity };
    this.#locks = shared;
    shared.answer.then(
      () => (shared.until = performance.now() + MAX_AGE_MS),
      () => (shared.until = -Infinity),
    );
    return shared.answer;
  }

  async #afterPause(read: () => Promise<T>, self: () => Shared<T>): Promise<T> {
    const left = this.#sentAt + MIN_PAUSE_MS - performance.now();
    this.#sentAt = performance.now() + Math.max(left, 0);
    // Without a pause, even a timer of 0 ms would cost a millisecond.
    if (left > 0) await pause(left);
    else await Promise.resolve();
    if (this.#next === self()) this.#next = undefined;
    return read();
  }
}
