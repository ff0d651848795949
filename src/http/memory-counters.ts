import type { ClientRateLimitInfo, Store } from 'express-rate-limit';
import { LRUCache } from 'lru-cache';

/** Where a limiter counts. */
export type Counters = Pick<Store, 'increment'> & Partial<Pick<Store, 'init'>>;

/** Keys counted at once. Beyond that the least recently used is forgotten. */
const MAX_KEYS = 65_536;

/** Counts requests in memory for a window that begins with the first of a key. A step of the wall clock changes nothing. */
export class MemoryCounters implements Counters {
  readonly #windowMs: number;
  readonly #hits: LRUCache<string, { count: number }>;

  /** The window is in milliseconds. */
  constructor(windowMs: number) {
    this.#windowMs = windowMs;
    this.#hits = new LRUCache({ max: MAX_KEYS, ttl: windowMs });
  }

  increment(key: string): Promise<ClientRateLimitInfo> {
    let hits = this.#hits.get(key);
    if (hits === undefined) {
      hits = { count: 0 };
      this.#hits.set(key, hits);
    }
    hits.count += 1;
    const leftMs = Math.min(this.#hits.getRemainingTTL(key), this.#windowMs);
    return Promise.resolve({ totalHits: hits.count, resetTime: new Date(Date.now() + leftMs) });
  }
}
