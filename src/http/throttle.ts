import type { ClientRateLimitInfo, Options, Store } from 'express-rate-limit';
import type { Response } from 'express';
import { LRUCache } from 'lru-cache';
import { ServiceError } from '../errors.ts';
import { requestContext, ownerOf, type RequestContext } from './request-context.ts';

const WINDOW_MS = 60_000;
/** How many times a caller's limit an address may use: several callers can sit behind one. */
const CALLERS_AN_ADDRESS = 10;

/** Keys counted at once. Beyond that the least recently used is forgotten. */
const MAX_KEYS = 65_536;

/** The counters of one limiter. */
export type Counters = Pick<Store, 'increment'> & Partial<Pick<Store, 'init'>>;

/** Creates the counters of the limiter with this name. */
export type MakeCounters = (name: string) => Counters;

/** A step for any request. */
type Limiter = (req: unknown, res: Response) => Promise<void>;

/** Limits an address, before anybody is known. Throws `too_many_requests`. */
export function limitAddress(requestsPerMinute: number, makeCounters?: MakeCounters): Limiter {
  const limit = requestsPerMinute * CALLERS_AN_ADDRESS;
  return limitBy(limit, makeCounters?.('address'), ({ network }) => network);
}

/** Limits a caller, once they are known. Throws `too_many_requests`. */
export function limitCaller(requestsPerMinute: number, makeCounters?: MakeCounters): Limiter {
  return limitBy(requestsPerMinute, makeCounters?.('caller'), ownerOf);
}

// The library's stores without its middleware, which takes longer for headers and checks that are not wanted here than for the counting.
function limitBy(
  limit: number,
  store: Counters = new MemoryCounters(WINDOW_MS),
  keyOf: (context: RequestContext) => string,
): Limiter {
  void Promise.resolve(store.init?.({ windowMs: WINDOW_MS } as Options)).catch(() => undefined);
  return async (_req, res) => {
    const key = keyOf(requestContext(res));
    const counted = await count(store, key);
    if (counted === undefined || counted.totalHits <= limit) return;
    const leftMs = (counted.resetTime?.getTime() ?? 0) - Date.now();
    const seconds = Math.ceil(Math.min(leftMs, WINDOW_MS) / 1000);
    res.set('Retry-After', Math.max(1, seconds).toString());
    throw new ServiceError('too_many_requests', {
      'en-us': `At most ${limit} requests per minute are allowed. Retry later.`,
      'zh-cn': `每分钟最多接受${limit}个请求，请稍后重试。`,
    });
  };
}

async function count(store: Counters, key: string): Promise<ClientRateLimitInfo | undefined> {
  try {
    // Taken out at once: the next request changes it.
    const { totalHits, resetTime } = await store.increment(key);
    return { totalHits, resetTime };
  } catch {
    // A kill must get through although nobody can count it.
    return undefined;
  }
}

/** Counts in memory. The window of a key begins with its first request, on the monotonic clock. */
class MemoryCounters implements Counters {
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
