import type { ErrorRequestHandler, RequestHandler } from 'express';
import { ServiceError } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import { facts } from './request-facts.ts';
import { errorBody, sendJson } from './wire.ts';

/** What no route took. */
export const noSuchApi: RequestHandler = () => {
  throw new ServiceError('api_not_found');
};

/** Answers every error by the table; what nobody foresaw is `internal`, and its cause is for the log only. */
export const answerError: ErrorRequestHandler = (thrown: unknown, _req, res, next) => {
  const error = serviceError(thrown);
  const known = facts(res);
  known.error = error;
  if (res.headersSent) {
    next(thrown);
    return;
  }
  const { status, retryAfter } = ERROR_TABLE[error.code];
  // The limiter knows it better.
  if (retryAfter !== undefined && !res.hasHeader('Retry-After')) {
    res.set('Retry-After', retryAfter.toString());
  }
  sendJson(res, status, errorBody(error.code, error.detail, known));
};

function serviceError(thrown: unknown): ServiceError {
  if (thrown instanceof ServiceError) return thrown;
  // Express and its body parser mark what is the client's fault: a path that cannot be decoded, a body cut short.
  const isClients =
    typeof thrown === 'object' && thrown !== null && 'status' in thrown && is4xx(thrown.status);
  return new ServiceError(isClients ? 'malformed_http' : 'internal', undefined, { cause: thrown });
}

function is4xx(status: unknown): boolean {
  return typeof status === 'number' && status >= 400 && status < 500;
}
