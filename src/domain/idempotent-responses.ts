import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceError } from '../errors.ts';
import type { AnswerStore, Remembered, Reservation } from './answer-store.ts';
import { withDeadline, type Deadline } from './deadline.ts';

/** A request without an answer counts as dead this time after its limit, in milliseconds. */
const GRACE_MS = 1000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 250;

/** The result of the first request: its answer; `died`, without an answer; or `released`, since it did nothing. */
type First = { readonly answer: string } | 'died' | 'released';

/** Thrown by work whose answer must not be stored: it did nothing, so a repeated request tries again. */
export class NotCacheable extends Error {
  readonly answer: string;

  constructor(answer: string) {
    super('Nothing was done');
    this.answer = answer;
  }
}

/** Carries out a repeated request once: the repetition gets the first answer, on any replica. */
export class IdempotentResponses {
  readonly #store: AnswerStore;
  readonly #onTrouble: (error: unknown) => void;
  readonly #pause: (milliseconds: number) => Promise<unknown>;
  readonly #now: () => number;

  /** Calls `onTrouble` with errors of the store that do not change the answer. */
  constructor(
    store: AnswerStore,
    onTrouble: (error: unknown) => void,
    pause: (milliseconds: number) => Promise<unknown> = sleep,
    now: () => number = () => performance.now(),
  ) {
    this.#store = store;
    this.#onTrouble = onTrouble;
    this.#pause = pause;
    this.#now = now;
  }

  /**
   * Reserves these keys, does the work and stores its answer. A request with one of the keys, at the same time or later, gets that answer.
   * Without keys it only does the work. If the work throws, no KILL was sent: the keys are free again. For `NotCacheable` it returns the
   * answer of that error.
   * Returns undefined if the first request died without an answer, or has no answer by this deadline: its outcome is unknown.
   * Throws `parameter_wrong` if a key was used for another request, `too_many_requests`, `overloaded` and `store_unavailable`: then no work was done.
   *
   * Requests that share several keys must name them in the same order, or they could wait for each other.
   */
  async once(
    reservations: readonly Reservation[],
    work: () => Promise<string>,
    deadline: Deadline = Infinity,
  ): Promise<string | undefined> {
    for (;;) {
      const made: Reservation[] = [];
      let answer: string;
      try {
        const first = await this.#reserve(reservations, deadline, made);
        if (first === 'released') {
          await this.#release(made);
          continue;
        }
        // The reservations in `made` stay, and count as dead later: so a repetition under any of the keys gets the same answer.
        if (first === 'died') return undefined;
        answer = first?.answer ?? (await work());
      } catch (error) {
        await this.#release(made);
        if (error instanceof NotCacheable) return error.answer;
        throw error;
      }
      // The caller gets the answer even if the store fails.
      await this.#withDeadline(deadline, this.#complete(made, answer)).catch(this.#onTrouble);
      return answer;
    }
  }

  /** Adds each new reservation to `made`. Returns undefined if every key was free, else the result of the first request. */
  async #reserve(
    reservations: readonly Reservation[],
    deadline: Deadline,
    made: Reservation[],
  ): Promise<First | undefined> {
    for (const [index, reservation] of reservations.entries()) {
      const there = await this.#tryToReserve(reservation, deadline);
      if (there === undefined) {
        made.push(reservation);
        continue;
      }
      const first = await this.#follow(reservation, deadline, there);
      if (first !== 'released') await this.#reserveFree(reservations.slice(index + 1), made);
      return first;
    }
    return undefined;
  }

  async #tryToReserve(
    reservation: Reservation,
    deadline: Deadline,
  ): Promise<Remembered | undefined> {
    const reserving = this.#store.reserve(reservation);
    try {
      return await this.#withDeadline(deadline, reserving);
    } catch (error) {
      // The store can still make the reservation, but no work follows.
      void reserving.then(
        (there) => (there === undefined ? this.#release([reservation]) : undefined),
        () => undefined,
      );
      throw error;
    }
  }

  #withDeadline<T>(deadline: Deadline, work: Promise<T>): Promise<T> {
    return withDeadline(performance.now() + deadline - this.#now(), work);
  }

  /**
   * Reserves the other keys of a repeated request. Otherwise its new signature, sent later without the old key, would do the work again.
   */
  async #reserveFree(reservations: readonly Reservation[], made: Reservation[]): Promise<void> {
    for (const reservation of reservations) {
      try {
        if ((await this.#store.reserve(reservation)) === undefined) made.push(reservation);
      } catch (error) {
        // The result of the first request is known, and an error of the store must not hide it.
        this.#onTrouble(error);
      }
    }
  }

  async #follow(
    { key, fingerprint }: Reservation,
    deadline: Deadline,
    there: Remembered,
  ): Promise<First> {
    let pauseMs = FIRST_PAUSE_MS;
    for (let now: Remembered | undefined = there; now !== undefined;) {
      if (now.fingerprint !== fingerprint) throw usedBefore();
      if (now.answer !== undefined) return { answer: now.answer };
      const leftMs = deadline - this.#now();
      if (now.ageMs > now.limitMs + GRACE_MS || leftMs <= 0) return 'died';
      await this.#pause(Math.min(pauseMs, leftMs));
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      now = await this.#store.read(key);
    }
    return 'released';
  }

  async #complete(made: readonly Reservation[], answer: string): Promise<void> {
    await this.#forEach(made, (reservation) => this.#store.complete(reservation, answer));
  }

  async #release(made: readonly Reservation[]): Promise<void> {
    await this.#forEach(made, (reservation) => this.#store.release(reservation));
  }

  async #forEach(
    made: readonly Reservation[],
    action: (reservation: Reservation) => Promise<void>,
  ): Promise<void> {
    await Promise.all(made.map((reservation) => action(reservation).catch(this.#onTrouble)));
  }
}

function usedBefore(): ServiceError {
  return new ServiceError('parameter_wrong', {
    'en-us': 'The Idempotency-Key was used before for a different request.',
    'zh-cn': '该Idempotency-Key已用于其他请求。',
  });
}
