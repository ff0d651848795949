import { REMEMBERED_MS, type AnswerStore } from '../domain/answer-store.ts';
import type { Remembered, Reservation } from '../domain/answer-store.ts';
import { ServiceError } from '../errors.ts';

const MEGABYTE = 1024 * 1024;
/** What an entry takes beside its texts. */
const ENTRY_BYTES = 512;

/** How much may be remembered, in bytes. */
export interface MemoryLimits {
  readonly bytesAnOwner: number;
  readonly bytes: number;
}

interface Entry {
  readonly reservation: Reservation;
  readonly reservedAt: number;
  answer: string | undefined;
  bytes: number;
}

/** The answers of one process. `reserve` throws `too_many_requests` when the owner has too much here, `overloaded` when all together have. */
export class MemoryAnswers implements AnswerStore {
  readonly #limits: MemoryLimits;
  readonly #now: () => number;
  /** All are kept equally long, so they end in the order in which they stand here. */
  readonly #entries = new Map<string, Entry>();
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;

  constructor(
    limits: MemoryLimits = { bytesAnOwner: 16 * MEGABYTE, bytes: 256 * MEGABYTE },
    now: () => number = () => performance.now(),
  ) {
    this.#limits = limits;
    this.#now = now;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- so that it rejects rather than throws
  async reserve(reservation: Reservation): Promise<Remembered | undefined> {
    this.#forgetOld();
    const { key, fingerprint, owner } = reservation;
    const entry = this.#entries.get(key);
    if (entry !== undefined) return this.#remembered(entry);
    const bytes = ENTRY_BYTES + byteLength(key, fingerprint, owner);
    if ((this.#bytesOf.get(owner) ?? 0) + bytes > this.#limits.bytesAnOwner)
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

  // An answer may go past the limits, since its KILLs are done; the next reservation then does not.
  complete(key: string, answer: string): Promise<void> {
    this.#forgetOld();
    const entry = this.#entries.get(key);
    if (entry === undefined) return Promise.resolve();
    const more = byteLength(answer) - byteLength(entry.answer ?? '');
    entry.answer = answer;
    entry.bytes += more;
    this.#count(entry.reservation.owner, more);
    return Promise.resolve();
  }

  release(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry?.answer === undefined) this.#forget(key);
    return Promise.resolve();
  }

  #remembered({ reservation, reservedAt, answer }: Entry): Remembered {
    const { fingerprint, limitMs } = reservation;
    return { fingerprint, answer, ageMs: this.#now() - reservedAt, limitMs };
  }

  #forgetOld(): void {
    const oldest = this.#now() - REMEMBERED_MS;
    for (const [key, { reservedAt }] of this.#entries) {
      if (reservedAt > oldest) return;
      this.#forget(key);
    }
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#count(entry.reservation.owner, -entry.bytes);
  }

  #count(owner: string, bytes: number): void {
    this.#bytes += bytes;
    const left = (this.#bytesOf.get(owner) ?? 0) + bytes;
    if (left === 0) this.#bytesOf.delete(owner);
    else this.#bytesOf.set(owner, left);
  }
}

function byteLength(...texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

function ownerHasTooMuch(): ServiceError {
  return new ServiceError('too_many_requests', {
    'en-us': 'Too many answers to this caller are remembered; each is for 30 minutes.',
    'zh-cn': '为该调用方保存的响应过多，每个响应保存30分钟。',
  });
}
