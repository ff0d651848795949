import type { Request, RequestHandler, Response } from 'express';
import { ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit';
import { ServiceError } from '../errors.ts';
import { facts, ownerOf } from './request-facts.ts';

/** How many times a caller's limit an address may use: several callers can sit behind one. */
const CALLERS_AN_ADDRESS = 10;

/** Makes where a limiter of this name counts; without one it counts in memory. */
export type MakeCounters = (name: string) => Store;

/** Limits an address, before anybody is known. Throws `too_many_requests`. */
export function limitAddress(
  requestsPerMinute: number,
  makeCounters?: MakeCounters,
): RequestHandler {
  const limit = requestsPerMinute * CALLERS_AN_ADDRESS;
  return limitBy(limit, makeCounters?.('address'), (_req, res) =>
    ipKeyGenerator(facts(res).address),
  );
}

/** Limits a caller, once they are known. Throws `too_many_requests`. */
export function limitCaller(
  requestsPerMinute: number,
  makeCounters: MakeCounters | undefined,
): RequestHandler {
  return limitBy(requestsPerMinute, makeCounters?.('caller'), (_req, res) => ownerOf(facts(res)));
}

function limitBy(
  limit: number,
  store: Store | undefined,
  keyOf: (req: Request, res: Response) => string,
): RequestHandler {
  return rateLimit({
    ...(store && { store }),
    // A kill must get through although nobody can count it.
    passOnStoreError: true,
    windowMs: 60_000,
    limit,
    keyGenerator: keyOf,
    standardHeaders: false,
    legacyHeaders: false,
    // Both would go to the console: its own warnings, and each request that a store could not count.
    validate: false,
    logger: { error: () => undefined, warn: () => undefined },
    handler(req, res, next) {
      const resets = (req as Request & { rateLimit?: { resetTime?: Date } }).rateLimit?.resetTime;
      const seconds = Math.ceil(((resets?.getTime() ?? 0) - Date.now()) / 1000);
      res.set('Retry-After', Math.max(1, seconds).toString());
      next(
        new ServiceError('too_many_requests', {
          'en-us': `At most ${limit} requests a minute are taken.`,
          'zh-cn': `每分钟最多接受${limit}个请求。`,
        }),
      );
    },
  });
}
