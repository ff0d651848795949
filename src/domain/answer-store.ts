import { ServiceError } from '../errors.ts';

/** An answer is kept for this time, in milliseconds: a signature is valid for 15 minutes before and after its date. */
export const REMEMBERED_MS = 30 * 60_000;
/** The most bytes that are kept for one owner. An answer may exceed the limit, a reservation may not. */
export const BYTES_PER_OWNER = 16 * 1024 * 1024;
/** The bytes that an entry takes besides its texts. */
const ENTRY_BYTES = 512;

/** A key under which the answer to a request will be kept. */
export interface Reservation {
  readonly key: string;
  /** A hash of everything that the key binds. The same key with another fingerprint is the caller's mistake. */
  readonly fingerprint: string;
  /** The owner of the key, whose entries share one limit. */
  readonly owner: string;
  /** The time limit of the request, in milliseconds. A request without an answer by then has died. */
  readonly limitMs: number;
}

/** The entry under a key. */
export interface Remembered {
  readonly fingerprint: string;
  /** Undefined while the first request with the key runs, or if that request died. */
  readonly answer: string | undefined;
  /** The time since the reservation, in milliseconds. */
  readonly ageMs: number;
  readonly limitMs: number;
}

/**
 * Keeps the answers to requests that end sessions, for `REMEMBERED_MS` from the reservation. `MemoryAnswers` and `RedisAnswers` in
 * src/store implement it.
 * Every method throws `store_unavailable` if the store fails.
 */
export interface AnswerStore {
  /**
   * Reserves the key and resolves to undefined if the key is free. Otherwise resolves to the entry of the key.
   * Throws `too_many_requests` at the limit of the owner, `overloaded` at the limit of all owners.
   */
  reserve(reservation: Reservation): Promise<Remembered | undefined>;
  /** Resolves to the entry of a key, or undefined if there is none. */
  read(key: string): Promise<Remembered | undefined>;
  /**
   * Stores the answer under the key that `reserve` reserved for this very object.
   * Does nothing if that reservation has gone, even if another one has the same key.
   */
  complete(reservation: Reservation, answer: string): Promise<void>;
  /** Deletes the reservation of this very object unless it has an answer: its request did nothing. */
  release(reservation: Reservation): Promise<void>;
}

/** Returns the size of a reservation without an answer, in bytes. */
export function bytesOf({ key, fingerprint, owner }: Reservation): number {
  return [key, fingerprint, owner].reduce(
    (sum, text) => sum + Buffer.byteLength(text),
    ENTRY_BYTES,
  );
}

/** Returns the error of `reserve` for an owner at its limit: `too_many_requests`. */
export function ownerHasTooMuch(): ServiceError {
  return new ServiceError('too_many_requests', {
    'en-us':
      'The service keeps too many answers for this caller. Retry later, when the oldest have expired.',
    'zh-cn': '为该调用方保存的响应过多，请在最早的响应过期后重试。',
  });
}
