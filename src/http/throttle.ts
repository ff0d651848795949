import type { ClientRateLimitInfo, Options } from 'express-rate-limit';
import type { Response } from 'express';
import { ServiceError } from '../errors.ts';
import { MemoryCounters, type Counters } from './memory-counters.ts';
import { facts, ownerOf, type RequestFacts } from './request-facts.ts';

const WINDOW_MS = 60_000;
/** How many times a caller's limit an address may use: several callers can sit behind one. */
const CALLERS_AN_ADDRESS = 10;

/** Makes where a limiter of this name counts; without one it counts in memory. */
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
  keyOf: (known: RequestFacts) => string,
): Limiter {
  void Promise.resolve(store.init?.({ windowMs: WINDOW_MS } as Options)).catch(() => undefined);
  return async (_req, res) => {
    const key = keyOf(facts(res));
    const counted = await count(store, key);
    if (counted === undefined || counted.totalHits <= limit) return;
    const leftMs = (counted.resetTime?.getTime() ?? 0) - Date.now();
    const seconds = Math.ceil(Math.min(leftMs, WINDOW_MS) / 1000);
    res.set('Retry-After', Math.max(1, seconds).toString());
    throw new ServiceError('too_many_requests', {
      'en-us': `At most ${limit} requests a minute are taken.`,
      'zh-cn': `每分钟最多接受${limit}个请求。`,
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
