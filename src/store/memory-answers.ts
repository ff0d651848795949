import {
  BYTES_PER_OWNER,
  bytesOf,
  ownerHasTooMuch,
  REMEMBERED_MS,
  type AnswerStore,
} from '../domain/answer-store.ts';
import type { Remembered, Reservation } from '../domain/answer-store.ts';
import { ServiceError } from '../errors.ts';

const MAX_BYTES = 256 * 1024 * 1024;

/** The most bytes that are kept, for each owner and for all owners. */
export interface MemoryLimits {
  readonly bytesPerOwner: number;
  readonly bytes: number;
}

interface Entry {
  readonly reservation: Reservation;
  readonly reservedAt: number;
  answer: string | undefined;
  bytes: number;
}

/** The answers of one process. `reserve` throws `too_many_requests` at the limit of the owner, `overloaded` at the limit of all owners. */
export class MemoryAnswers implements AnswerStore {
  readonly #limits: MemoryLimits;
  readonly #now: () => number;
  /** All entries are kept for the same time, so they expire in the order of this map. */
  readonly #entries = new Map<string, Entry>();
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;

  constructor(
    limits: MemoryLimits = { bytesPerOwner: BYTES_PER_OWNER, bytes: MAX_BYTES },
    now: () => number = () => performance.now(),
  ) {
    this.#limits = limits;
    this.#now = now;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- so that it rejects rather than throws
  async reserve(reservation: Reservation): Promise<Remembered | undefined> {
    this.#forgetOld();
    const { key, owner } = reservation;
    const entry = this.#entries.get(key);
    if (entry !== undefined) return this.#remembered(entry);
    const bytes = bytesOf(reservation);
    if ((this.#bytesOf.get(owner) ?? 0) + bytes > this.#limits.bytesPerOwner)
      throw ownerHasTooMuch();
    if (this.#bytes + bytes > this.#limits.bytes) throw new ServiceError('overloaded');
    this.#entries.set(key, { reservation, reservedAt: this.#now(), answer: undefined, bytes });
    this.#count(owner, bytes);
    return undefined;
  }

  read(key: string): Promise<Remembered | undefined> {
    this.#forgetOld();
    const entry = this.#entries.get(key);
    return Promise.resolve(entry && this.#remembered(entry));
  }

  // An answer may exceed the limits, since its KILLs are done. The next reservation then fails.
  complete(reservation: Reservation, answer: string): Promise<void> {
    this.#forgetOld();
    const entry = this.#entryOf(reservation);
    if (entry === undefined) return Promise.resolve();
    const more = Buffer.byteLength(answer) - Buffer.byteLength(entry.answer ?? '');
    entry.answer = answer;
    entry.bytes += more;
    this.#count(reservation.owner, more);
    return Promise.resolve();
  }

  release(reservation: Reservation): Promise<void> {
    const entry = this.#entryOf(reservation);
    if (entry !== undefined && entry.answer === undefined) this.#forget(entry);
    return Promise.resolve();
  }

  #entryOf(reservation: Reservation): Entry | undefined {
    const entry = this.#entries.get(reservation.key);
    return entry?.reservation === reservation ? entry : undefined;
  }

  #remembered({ reservation, reservedAt, answer }: Entry): Remembered {
    const { fingerprint, limitMs } = reservation;
    return { fingerprint, answer, ageMs: this.#now() - reservedAt, limitMs };
  }

  #forgetOld(): void {
    const oldest = this.#now() - REMEMBERED_MS;
    for (const entry of this.#entries.values()) {
      if (entry.reservedAt > oldest) return;
      this.#forget(entry);
    }
  }

  #forget({ reservation, bytes }: Entry): void {
    this.#entries.delete(reservation.key);
    this.#count(reservation.owner, -bytes);
  }

  #count(owner: string, bytes: number): void {
    this.#bytes += bytes;
    const left = (this.#bytesOf.get(owner) ?? 0) + bytes;
    if (left === 0) this.#bytesOf.delete(owner);
    else this.#bytesOf.set(owner, left);
  }
}
