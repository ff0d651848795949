/** A signature is good for 15 minutes on either side of its date, so its request can come again for 30. */
export const REMEMBERED_MS = 30 * 60_000;

/** Under which key an answer is to be remembered, and for what. */
export interface Reservation {
  readonly key: string;
  /** A hash of all that the key binds: the same key with another one is a mistake of the caller. */
  readonly fingerprint: string;
  /** Whose key it is. */
  readonly owner: string;
  /** After so many milliseconds without an answer whoever reserved it must have died. */
  readonly limitMs: number;
}

/** What is remembered under a key. */
export interface Remembered {
  readonly fingerprint: string;
  /** Undefined while the first request with the key is under way, or when it died. */
  readonly answer: string | undefined;
  /** Milliseconds since it was reserved. */
  readonly ageMs: number;
  readonly limitMs: number;
}

/**
 * Remembers the answers to requests that end sessions, for `REMEMBERED_MS` from the reservation. Implemented in src/store.
 * Every method throws `store_unavailable` when it cannot do its work.
 */
export interface AnswerStore {
  /**
   * Reserves the key if nobody has it, and resolves to undefined; else resolves to what is there.
   * May throw `too_many_requests` when its owner has too much here, `overloaded` when all have.
   */
  reserve(reservation: Reservation): Promise<Remembered | undefined>;
  read(key: string): Promise<Remembered | undefined>;
  /** Puts the answer under a key that was reserved; does nothing when the key is no longer there. */
  complete(key: string, answer: string): Promise<void>;
  /** Forgets a key that was reserved, unless it has its answer: nothing was done for it. */
  release(key: string): Promise<void>;
}
