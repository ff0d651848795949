import type { IncomingMessage, RequestListener } from 'node:http';
import type { Request, Response } from 'express';
import type { ErrorCode } from '../errors.ts';
import { isProbe, requestContext, statusOf } from './request-context.ts';

/** Receives the figures of each request that is not a probe. */
export interface RequestMeter {
  /** A request came in. */
  received(): void;
  /** The request was admitted after this wait. */
  admitted(waitedMs: number): void;
  /** The request has been answered, or its client has gone. */
  ended(request: EndedRequest): void;
}

/** A request that is over. */
export interface EndedRequest {
  readonly wasAdmitted: boolean;
  readonly method: string;
  /** The pattern of the route that took it, or `other`. */
  readonly route: string;
  /** 499 if the client had gone before the response began. */
  readonly status: number;
  /** The error that it was answered with. */
  readonly error: ErrorCode | undefined;
  readonly tookMs: number;
}

/** Reports each request to the meter. Wraps everything that may refuse the request. */
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

/** Reports each admitted request to the meter. Wraps the listener that answers it. */
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

// Only names from the code, never text from the client.
function routeOf(req: IncomingMessage): string {
  const route = (req as Partial<Request>).route as { readonly path?: unknown } | undefined;
  return typeof route?.path === 'string' ? route.path : 'other';
}
