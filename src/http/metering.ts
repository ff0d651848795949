import type { IncomingMessage, RequestListener } from 'node:http';
import type { Request, Response } from 'express';
import type { ErrorCode } from '../errors.ts';
import { isProbe, requestContext, statusOf } from './request-context.ts';

/** Receives the figures of each request other than probes. */
export interface RequestMeter {
  /** Counts a request that came in. */
  received(): void;
  /** Counts a request that was admitted after this wait. */
  admitted(waitedMs: number): void;
  /** Counts a request that was answered, or whose client disconnected. */
  ended(request: EndedRequest): void;
}

/** A request that was answered, or whose client disconnected. */
export interface EndedRequest {
  readonly wasAdmitted: boolean;
  readonly method: string;
  /** The pattern of the request's route, or `other` without a route. */
  readonly route: string;
  /** The status of the response; 499 if the client disconnected before the response began. */
  readonly status: number;
  /** The error in the response. */
  readonly error: ErrorCode | undefined;
  readonly tookMs: number;
}

/** Returns a listener that reports each request to the meter. It wraps all listeners that can refuse a request. */
export function meterRequests(app: RequestListener, meter: RequestMeter): RequestListener {
  return (req, res) => {
    if (isProbe(req)) {
      app(req, res);
      return;
    }
    const begun = performance.now();
    meter.received();
    res.once('close', () => {
      const { wasAdmitted = false, error } = requestContext(res as Response);
      meter.ended({
        wasAdmitted,
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

/** Returns a listener that reports each admitted request to the meter. It wraps the listener that answers requests. */
export function meterAdmitted(app: RequestListener, meter: RequestMeter): RequestListener {
  return (req, res) => {
    if (!isProbe(req)) {
      const context = requestContext(res as Response);
      context.wasAdmitted = true;
      meter.admitted(performance.now() - context.receivedAt);
    }
    app(req, res);
  };
}

// The label is always a pattern from the code, never text from the client.
function routeOf(req: IncomingMessage): string {
  const route = (req as Partial<Request>).route as { readonly path?: unknown } | undefined;
  return typeof route?.path === 'string' ? route.path : 'other';
}
