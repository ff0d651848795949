import type { ClientRateLimitInfo, Options, Store } from 'express-rate-limit';
import type { Response } from 'express';
import { LRUCache } from 'lru-cache';
import { ServiceError } from '../errors.ts';
import { requestContext, ownerOf, type RequestContext } from './request-context.ts';

const WINDOW_MS = 60_000;
/** The limit of an address as a multiple of a caller's limit: several callers can share an address. */
const CALLERS_PER_ADDRESS = 10;

/** The most keys that are counted at once. Beyond that, the least recently used key is dropped. */
const MAX_KEYS = 65_536;

/** The counters of one limiter. */
export type Counters = Pick<Store, 'increment'> & Partial<Pick<Store, 'init'>>;

/** Creates the counters of the limiter with this name. */
export type MakeCounters = (name: string) => Counters;

/** A step for any request. */
type Limiter = (req: unknown, res: Response) => Promise<void>;

/** Returns a step that limits the requests of an address, before authentication. Throws `too_many_requests`. */
export function limitAddress(requestsPerMinute: number, makeCounters?: MakeCounters): Limiter {
  const limit = requestsPerMinute * CALLERS_PER_ADDRESS;
  return limitBy(limit, makeCounters?.('address'), ({ network }) => network);
}

/** Returns a step that limits the requests of a caller, after authentication. Throws `too_many_requests`. */
export function limitCaller(requestsPerMinute: number, makeCounters?: MakeCounters): Limiter {
  return limitBy(requestsPerMinute, makeCounters?.('caller'), ownerOf);
}

// Uses the library's stores without its middleware, whose headers and checks take longer than the counting.
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
    // Copied at once, because the next request can change the store's object.
    const { totalHits, resetTime } = await store.increment(key);
    return { totalHits, resetTime };
  } catch {
    // A kill must get through even if the store fails.
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
