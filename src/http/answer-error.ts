import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { Audit } from '../domain/audit.ts';
import { asServiceError, ServiceError } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import { requestContext } from './request-context.ts';
import { pathOf } from './request-log.ts';
import { errorBody, sendJson } from './wire.ts';

/** What no route took. */
export const noSuchApi: RequestHandler = () => {
  throw new ServiceError('api_not_found');
};

/** Answers every error by the table; what nobody foresaw is `internal`, and its cause is for the log only. Who is turned away is put on record. */
export function answerError(audit: Audit): ErrorRequestHandler {
  return (thrown: unknown, req, res, next) => {
    const error = serviceError(thrown);
    const { status, error_code: errorCode, retryAfter } = ERROR_TABLE[error.code];
    const context = requestContext(res);
    context.error = error;
    if (status === 401 || status === 403) {
      const { requestId, traceId, wireMethod: method, address, caller } = context;
      const who = { caller: caller?.user, proof: caller?.proof };
      // At once: a client that has gone by now was here all the same.
      audit.deny({
        requestId,
        traceId,
        method,
        path: pathOf(req.originalUrl),
        address,
        status,
        errorCode,
        ...who,
      });
    }
    if (res.headersSent) {
      next(thrown);
      return;
    }
    // The limiter knows it better.
    if (retryAfter !== undefined && !res.hasHeader('Retry-After')) {
      res.set('Retry-After', retryAfter.toString());
    }
    sendJson(res, status, errorBody(error.code, error.detail, context));
  };
}

function serviceError(thrown: unknown): ServiceError {
  // Express marks what is the client's fault, such as a path that cannot be decoded.
  const isClients =
    typeof thrown === 'object' && thrown !== null && 'status' in thrown && is4xx(thrown.status);
  return asServiceError(thrown, isClients ? 'malformed_http' : 'internal');
}

function is4xx(status: unknown): boolean {
  return typeof status === 'number' && status >= 400 && status < 500;
}
