import type { ClientRateLimitInfo, Options, Store } from 'express-rate-limit';
import type { Request, Response } from 'express';
import { LRUCache } from 'lru-cache';
import { ServiceError, type Sentence } from '../errors.ts';
import { isDryRunWanted } from './extensions.ts';
import { requestContext, ownerOf, type RequestContext } from './request-context.ts';

const WINDOW_MS = 60_000;
/** The limit of an address as a multiple of a caller's limit: several callers can share an address. */
const CALLERS_PER_ADDRESS = 10;

/** The names of the things that a limit counts. */
const REQUESTS: Sentence = { 'en-us': 'requests', 'zh-cn': '请求' };
const KILLS: Sentence = { 'en-us': 'kills', 'zh-cn': '终止请求' };

/** The most keys that have a count. Beyond that, the least recently used key is dropped. */
const MAX_KEYS = 65_536;

/** The counters of one limiter. */
export type Counters = Pick<Store, 'increment'> & Partial<Pick<Store, 'init'>>;

/** Creates the counters of the limiter with this name. */
export type MakeCounters = (name: string) => Counters;

/** A step for any request. */
type Limiter = (req: Limited, res: Response) => Promise<void>;

type Limited = Pick<Request, 'method' | 'url' | 'query'>;

/** Returns a step that limits the reads and the kills of an address, before authentication. Throws `too_many_requests`. */
export function limitAddress(requestsPerMinute: number, makeCounters?: MakeCounters): Limiter {
  const limit = requestsPerMinute * CALLERS_PER_ADDRESS;
  return limitApart(limit, 'address', ({ network }) => network, makeCounters);
}

/** Returns a step that limits the reads and the kills of a caller, after authentication. Throws `too_many_requests`. */
export function limitCaller(requestsPerMinute: number, makeCounters?: MakeCounters): Limiter {
  return limitApart(requestsPerMinute, 'caller', ownerOf, makeCounters);
}

/** Applies the limit to reads and to kills, each with its own counters: a caller that reads too often can still kill. */
function limitApart(
  limit: number,
  name: string,
  keyOf: (context: RequestContext) => string,
  makeCounters?: MakeCounters,
): Limiter {
  const limitReads = limitBy(limit, REQUESTS, makeCounters?.(name), keyOf);
  const limitKills = limitBy(limit, KILLS, makeCounters?.(`${name}-kills`), keyOf);
  return (req, res) => (isKill(req) ? limitKills(res) : limitReads(res));
}

function isKill(req: Limited): boolean {
  return req.method === 'DELETE' && !isDryRunWanted(req);
}

// Uses the library's stores without its middleware, whose headers and checks take longer than the counting.
function limitBy(
  limit: number,
  counted: Sentence,
  store: Counters = new MemoryCounters(WINDOW_MS),
  keyOf: (context: RequestContext) => string,
): (res: Response) => Promise<void> {
  void Promise.resolve(store.init?.({ windowMs: WINDOW_MS } as Options)).catch(() => undefined);
  return async (res) => {
    const key = keyOf(requestContext(res));
    const hits = await count(store, key);
    if (hits === undefined || hits.totalHits <= limit) return;
    const leftMs = (hits.resetTime?.getTime() ?? 0) - Date.now();
    const seconds = Math.ceil(Math.min(leftMs, WINDOW_MS) / 1000);
    res.set('Retry-After', Math.max(1, seconds).toString());
    throw new ServiceError('too_many_requests', {
      'en-us': `At most ${limit} ${counted['en-us']} per minute are allowed. Retry later.`,
      'zh-cn': `每分钟最多接受${limit}个${counted['zh-cn']}，请稍后重试。`,
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
