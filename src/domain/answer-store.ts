import { ServiceError } from '../errors.ts';

/** A signature is good for 15 minutes on either side of its date, so its request can come again for 30. */
export const REMEMBERED_MS = 30 * 60_000;
/** How much may be remembered for an owner, in bytes; an answer may go past it, a reservation may not. */
export const BYTES_AN_OWNER = 16 * 1024 * 1024;
/** What an entry takes beside its texts. */
const ENTRY_BYTES = 512;

/** Under which key an answer is to be remembered, and for what. */
export interface Reservation {
  readonly key: string;
  /** A hash of all that the key binds: the same key with another one is a mistake of the caller. */
  readonly fingerprint: string;
  /** Whose key it is. */
  readonly owner: string;
  /** After this time without an answer the request that reserved it must have died, in milliseconds. */
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
  /**
   * Puts the answer under the key that `reserve` reserved for this very object.
   * Does nothing when that reservation is no longer there, even if there is another of the same key.
   */
  complete(reservation: Reservation, answer: string): Promise<void>;
  /** Forgets what `reserve` reserved for this very object, unless it has its answer: nothing was done for it. */
  release(reservation: Reservation): Promise<void>;
}

/** What a reservation counts for, in bytes, while it has no answer. */
export function bytesOf({ key, fingerprint, owner }: Reservation): number {
  return [key, fingerprint, owner].reduce(
    (sum, text) => sum + Buffer.byteLength(text),
    ENTRY_BYTES,
  );
}

/** What `reserve` throws past the bound of an owner: `too_many_requests`. */
export function ownerHasTooMuch(): ServiceError {
  return new ServiceError('too_many_requests', {
    'en-us': 'Too many answers to this caller are remembered; each is for 30 minutes.',
    'zh-cn': '为该调用方保存的响应过多，每个响应保存30分钟。',
  });
}
