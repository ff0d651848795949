import type { IncomingMessage, RequestListener } from 'node:http';
import type { Request, Response } from 'express';
import type { ErrorCode } from '../errors.ts';
import { isProbe } from './health.ts';
import { facts, statusOf } from './request-facts.ts';

/** Hears of requests, but for those of probes. */
export interface RequestMeter {
  /** One has come. */
  received(): void;
  /** It was let in, after it had waited so long for that. */
  letIn(waitedMs: number): void;
  /** It is over. */
  ended(request: EndedRequest): void;
}

/** How a request came out. */
export interface EndedRequest {
  readonly wasLetIn: boolean;
  readonly method: string;
  /** The pattern of the route that took it, or `other`. */
  readonly route: string;
  /** 499 when the client had gone before an answer was begun. */
  readonly status: number;
  /** What it was answered with, if that was an error. */
  readonly error: ErrorCode | undefined;
  readonly tookMs: number;
}

/** Tells the meter of each request that comes; around everything that may turn it away. */
export function meterRequests(app: RequestListener, meter: RequestMeter): RequestListener {
  return (req, res) => {
    if (isProbe(req)) {
      app(req, res);
      return;
    }
    const begun = performance.now();
    meter.received();
    res.once('close', () => {
      const { wasLetIn = false, error } = facts(res as Response);
      meter.ended({
        wasLetIn,
        method: req.method ?? '',
        route: routeOf(req),
        status: statusOf(res as Response),
        error: error?.code,
        tookMs: performance.now() - begun,
      });
    });
    app(req, res);
  };
}

/** Tells the meter of each request that is let in; around what answers it. */
export function meterLetIn(app: RequestListener, meter: RequestMeter): RequestListener {
  return (req, res) => {
    if (!isProbe(req)) {
      const known = facts(res as Response);
      known.wasLetIn = true;
      meter.letIn(performance.now() - known.receivedAt);
    }
    app(req, res);
  };
}

// Of what the code names, never of what the client wrote.
function routeOf(req: IncomingMessage): string {
  const route = (req as Partial<Request>).route as { readonly path?: unknown } | undefined;
  return typeof route?.path === 'string' ? route.path : 'other';
}
