import type { ServerResponse } from 'node:http';
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { stringify } from 'lossless-json';
import type { Audit } from '../domain/termination.ts';
import type { LockSource, LockTransaction, TransactionReading } from '../domain/locks.ts';
import type { Capabilities, SourceFacts } from '../domain/capabilities.ts';
import type { Session } from '../domain/session.ts';
import type { SessionPage } from '../domain/session-service.ts';
import {
  asServiceError,
  ServiceError,
  type ErrorCode,
  type Language,
  type Sentence,
} from '../errors.ts';
import { ERROR_TABLE, errorMessage } from './error-table.ts';
import { languageOf, newRequestId, requestContext } from './request-context.ts';
import { pathOf } from './request-log.ts';

const OVERLOADED: Sentence = {
  'en-us': 'The service has too many requests in progress. Retry later.',
  'zh-cn': '服务正在处理的请求过多，请稍后重试。',
};

/** Sends an object as JSON. A bigint becomes an exact integer. */
export function sendJson(res: Response, status: number, body: object): void {
  const text = stringify(body) ?? '';
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  // `res.send()` would answer some conditional requests with 304, although no response here has a tag or a date.
  res.setHeader('Content-Length', Buffer.byteLength(text));
  res.end(text);
}

/** Returns the body of an error. An error of the gateway also holds the request id. */
export function errorBody(
  code: ErrorCode,
  detail: Sentence | undefined,
  { language, requestId }: { readonly language: Language; readonly requestId: string },
): object {
  const { error_code } = ERROR_TABLE[code];
  return {
    error_code,
    error_msg: errorMessage(code, language, detail),
    ...(error_code.startsWith('APIGW.') && { request_id: requestId }),
  };
}

/** Refuses a request with `overloaded`, without Express. */
export function sendOverloaded(res: ServerResponse): void {
  const requestId = newRequestId();
  const { status, retryAfter } = ERROR_TABLE.overloaded;
  const language = languageOf(res.req.headers);
  const body = JSON.stringify(errorBody('overloaded', OVERLOADED, { language, requestId }));
  res
    .writeHead(status, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'Retry-After': retryAfter,
      'X-Content-Type-Options': 'nosniff',
      'X-Request-Id': requestId,
    })
    .end(body);
}

/** Answers GET with all eight fields of each session, none of them null. Adds the transaction of each if the caller requested it. */
export function sendSessions(res: Response, { sessions, total, transactions }: SessionPage): void {
  const { language } = requestContext(res);
  const bodyOf = (session: Session): object => ({
    ...sessionBody(session),
    ...(transactions && transactionField(transactions, session.id)),
  });
  sendJson(res, 200, {
    processes: sessions.map(bodyOf),
    total_count: total,
    ...(transactions && sourcesField(transactions, language)),
  });
}

/** Answers with the capabilities of a node. */
export function sendCapabilities(
  res: Response,
  { main, admin, server, isConnected }: Capabilities,
): void {
  const { language } = requestContext(res);
  const portState = (trouble: Sentence | undefined): string => trouble?.[language] ?? 'open';
  sendJson(res, 200, {
    reachable: server !== undefined || isConnected,
    connected: isConnected,
    main_port: portState(main),
    admin_port: admin === 'none' ? 'not configured' : portState(admin),
    flavour: server?.flavour ?? null,
    version: server?.version ?? null,
    missing_grants: server?.missingGrants ?? null,
    rollback_view: server?.canSeeRollbacks ?? null,
    second_opinion: server?.hasSecondOpinion ?? null,
    cut_hosts: server?.cutHosts ?? null,
    sources: server === undefined ? null : sourcesBody(server.sources, language),
    optional_grants: server?.sources.optionalGrants ?? null,
  });
}

function sourcesBody(sources: SourceFacts, language: Language): object {
  const wordOf = (source: LockSource): string =>
    source === 'available' ? source : source[language];
  return {
    transaction: wordOf(sources.transaction),
    connection_attributes: wordOf(sources.connectionAttributes),
    row: wordOf(sources.row),
    metadata: wordOf(sources.metadata),
  };
}

/** Throws `api_not_found` for a request that no route handles. */
export const noSuchApi: RequestHandler = () => {
  throw new ServiceError('api_not_found');
};

/**
 * Returns a handler that answers errors as `ERROR_TABLE` defines. An unexpected error becomes `internal`, and only the log holds its cause.
 * The audit records each response with 401 or 403.
 */
export function answerError(audit: Audit): ErrorRequestHandler {
  return (thrown: unknown, req, res, next) => {
    const error = serviceError(thrown);
    const { status, error_code: errorCode, retryAfter } = ERROR_TABLE[error.code];
    const context = requestContext(res);
    context.error = error;
    if (status === 401 || status === 403) {
      const { requestId, traceId, wireMethod: method, address, caller } = context;
      // Recorded even if the client has already disconnected.
      audit.deny({
        requestId,
        traceId,
        method,
        path: pathOf(req.originalUrl),
        address,
        status,
        errorCode,
        caller: caller?.user,
        proof: caller?.proof,
      });
    }
    if (res.headersSent) {
      next(thrown);
      return;
    }
    // The rate limiter sets a more precise time.
    if (retryAfter !== undefined && !res.hasHeader('Retry-After')) {
      res.set('Retry-After', retryAfter.toString());
    }
    sendJson(res, status, errorBody(error.code, error.detail, context));
  };
}

/** Returns the field `transaction` of a session: null if none was seen. Returns no field if the node does not show transactions. */
export function transactionField(
  { bySession, source }: TransactionReading,
  id: bigint,
): { readonly transaction?: object | null } {
  if (source !== 'available') return {};
  return { transaction: transactionBody(bySession.get(id)) };
}

/** Returns a transaction; null for none. */
export function transactionBody(transaction: LockTransaction | null | undefined): object | null {
  if (!transaction) return null;
  const { state, seconds, rowsLocked, rowsModified } = transaction;
  return { state, seconds, rows_locked: rowsLocked, rows_modified: rowsModified };
}

/** Returns the field `sources`, which holds the reason why transactions are missing. Returns no field if the node shows them. */
export function sourcesField(
  { source }: Pick<TransactionReading, 'source'>,
  language: Language,
): object {
  return source === 'available' ? {} : { sources: { transaction: source[language] } };
}

/** Returns the eight fields of a session on the wire. Each key is listed, so that no future field of `Session` reaches callers by accident. */
export function sessionBody({ id, user, host, db, command, time, state, info }: Session): object {
  return { id, user, host, db, command, time, state, info };
}

function serviceError(thrown: unknown): ServiceError {
  // Express sets a 4xx status on an error that the client caused, such as a path that cannot be decoded.
  const isClientError =
    typeof thrown === 'object' && thrown !== null && 'status' in thrown && is4xx(thrown.status);
  return asServiceError(thrown, isClientError ? 'malformed_http' : 'internal');
}

function is4xx(status: unknown): boolean {
  return typeof status === 'number' && status >= 400 && status < 500;
}
