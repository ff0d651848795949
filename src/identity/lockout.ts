import { LRUCache } from 'lru-cache';

const MAX_FAILURES = 5;
const LOCKED_MS = 5 * 60_000;
/** Pairs remembered; the least recently used are forgotten first. */
const MAX_PAIRS = 10_000;

interface Failures {
  count: number;
  lockedUntil: number;
}

/**
 * Locks a pair of access key and address for five minutes after five bad signatures in a row. The pair, not the key:
 * access keys are no secret, and a stranger must not be able to lock out whom one belongs to.
 */
export class Lockout {
  readonly #pairs = new LRUCache<string, Failures>({ max: MAX_PAIRS });
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  isLocked(access: string, address: string): boolean {
    return (this.#pairs.get(pair(access, address))?.lockedUntil ?? 0) > this.#now();
  }

  failed(access: string, address: string): void {
    const key = pair(access, address);
    const failures = this.#pairs.get(key) ?? { count: 0, lockedUntil: 0 };
    failures.count += 1;
    if (failures.count >= MAX_FAILURES)
      Object.assign(failures, { count: 0, lockedUntil: this.#now() + LOCKED_MS });
    this.#pairs.set(key, failures);
  }

  succeeded(access: string, address: string): void {
    this.#pairs.delete(pair(access, address));
  }
}

function pair(access: string, address: string): string {
  return `${access} ${address}`;
}
