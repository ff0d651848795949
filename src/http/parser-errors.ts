import { STATUS_CODES, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isNativeError } from 'node:util/types';
import type { Response } from 'express';
import { ServiceError, type ErrorCode, type Language } from '../errors.ts';
import { peerAddress } from './client-address.ts';
import { ERROR_TABLE } from './error-table.ts';
import {
  isProbe,
  languageOf,
  newRequestId,
  requestContext,
  type RequestContext,
} from './request-context.ts';
import type { EventLog } from './request-log.ts';
import type { Exchange } from './paced-connection.ts';
import { errorBody } from './wire.ts';

const LINGER_MS = 1000;

/** Ends a connection with the response for this error of Node's parser, or for this error code. */
export type Refuse = (socket: Duplex, why: Error | ErrorCode) => void;

/**
 * Returns a function that ends a connection after bytes that the server does not accept as a request. An earlier, whole request may have
 * killed sessions. If the response to that request is not sent yet, the connection ends with that response instead.
 */
export function createRefuser(
  exchangeOn: (socket: Duplex) => Exchange | undefined,
  log: EventLog,
): Refuse {
  const ending = new WeakSet<Duplex>();
  return (socket, why) => {
    if (ending.has(socket)) return;
    ending.add(socket);
    const { req, res } = exchangeOn(socket) ?? {};
    const code = typeof why === 'string' ? why : codeFor(why);
    const cause = typeof why === 'string' ? undefined : why;
    if (req?.complete === true && res !== undefined) {
      if (!res.headersSent) res.shouldKeepAlive = false;
      // Prepended: the connection must end before its next request begins.
      res.prependOnceListener('close', () => {
        finish(socket);
      });
    }
    // The request was refused before its body was complete, and its response has begun.
    else if (res?.headersSent === true) finish(socket);
    else {
      const language = languageOf(req?.headers ?? {});
      refuse(socket, { code, cause, language, loggedId: noteError(res, code, cause) }, log);
    }
  };
}

/** Notes the error for the log line of the incomplete request. Returns the request's id, or undefined if that line will not show the error. */
function noteError(
  res: ServerResponse | undefined,
  code: ErrorCode,
  cause: Error | undefined,
): string | undefined {
  // A probe has no log line.
  if (res === undefined || res.headersSent || isProbe(res.req)) return undefined;
  const context: Partial<RequestContext> = requestContext(res as Response);
  if (context.requestId === undefined || isLost(res.req.socket, cause)) return undefined;
  context.error = new ServiceError(code, undefined, { cause });
  return context.requestId;
}

/** Returns true if the client can receive no response any more. */
function isLost(socket: Duplex, cause: Error | undefined): boolean {
  const isReset = cause !== undefined && 'code' in cause && cause.code === 'ECONNRESET';
  return isReset || !socket.writable;
}

/** Returns true for the error of a request that was not complete in time. */
export function isTimeout(error: Error): boolean {
  return isNativeError(error) && 'code' in error && error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
}

function codeFor(error: Error): ErrorCode {
  const code = isNativeError(error) && 'code' in error ? error.code : undefined;
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  if (isTimeout(error)) return 'sent_too_slowly';
  return 'malformed_http';
}

interface Refusal {
  readonly code: ErrorCode;
  readonly cause: Error | undefined;
  readonly language: Language;
  /** The id of the request whose log line shows the error. If undefined, the refusal has a log line of its own. */
  readonly loggedId: string | undefined;
}

function refuse(socket: Duplex, { code, cause, language, loggedId }: Refusal, log: EventLog): void {
  if (isLost(socket, cause)) {
    socket.destroy();
    return;
  }
  const { status, error_code, retryAfter } = ERROR_TABLE[code];
  const requestId = loggedId ?? newRequestId();
  if (loggedId === undefined) {
    log.log('info', 'request', {
      request_id: requestId,
      status,
      address: socket instanceof Socket ? peerAddress(socket) : undefined,
      error_code,
      reason: cause?.message,
    });
  }
  const body = JSON.stringify(errorBody(code, undefined, { language, requestId }));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body).toString()}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
    ...(retryAfter === undefined ? [] : [`Retry-After: ${retryAfter}`]),
    ...(status === 405 ? ['Allow: DELETE, GET, HEAD, POST'] : []),
  ];
  finish(socket, `${head.join('\r\n')}\r\n\r\n${body}`);
}

function finish(socket: Duplex, answer = ''): void {
  socket.end(answer);
  // A client that leaves its side open must not keep the connection. Without the delay, the client could miss the response.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
