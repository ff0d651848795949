import { leftUntil, limitReached, type Deadline } from '../../domain/deadline.ts';
import { connectionLost, NotSentError } from './driver-connection.ts';

interface Waiting {
  readonly send: () => void;
  readonly rejectUnsent: (why: NotSentError) => void;
}

/**
 * Gives the statements of a connection their turns, in their order and one at a time. A statement that waits here has surely not been sent.
 */
export class StatementQueue {
  readonly #isBroken: () => boolean;
  readonly #waiting = new Set<Waiting>();
  readonly #listeners: (() => void)[] = [];
  #isBusy = false;

  /** `isBroken` returns true if the connection takes no more statements. */
  constructor(isBroken: () => boolean) {
    this.#isBroken = isBroken;
  }

  /**
   * Calls `send` when the turn of its statement comes, and returns the result. Throws NotSentError if the turn does not come by
   * `latestTurn`, or if the connection breaks before.
   */
  enqueue<T>(latestTurn: Deadline, send: () => Promise<T>): Promise<T> {
    const isLate = latestTurn <= performance.now();
    if (isLate || this.#isBroken()) {
      return Promise.reject(new NotSentError(isLate ? limitReached() : connectionLost()));
    }
    if (!this.#isBusy) return this.#begin(send);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting = {
        send: () => {
          leave();
          this.#begin(send).then(resolve, reject);
        },
        rejectUnsent: (why) => {
          leave();
          reject(why);
        },
      };
      const late = (): void => {
        waiting.rejectUnsent(new NotSentError(limitReached()));
      };
      const timer = setTimeout(late, leftUntil(latestTurn));
      this.#waiting.add(waiting);
    });
  }

  /** Calls the listener once, when the present statement has its answer. */
  onceAnswered(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Rejects the statements that wait for their turn. */
  rejectWaiting(): void {
    for (const { rejectUnsent } of this.#waiting) rejectUnsent(new NotSentError(connectionLost()));
  }

  #begin<T>(send: () => Promise<T>): Promise<T> {
    this.#isBusy = true;
    const sent = send();
    const next = (): void => {
      this.#next();
    };
    sent.then(next, next);
    return sent;
  }

  #next(): void {
    for (const listener of this.#listeners.splice(0)) listener();
    this.#isBusy = false;
    if (this.#isBroken()) {
      this.rejectWaiting();
      return;
    }
    const [first] = this.#waiting;
    first?.send();
  }
}
