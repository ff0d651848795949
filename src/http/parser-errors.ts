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

/** Ends a connection with the refusal that fits the error of Node's parser, or with this one. */
export type Refuse = (socket: Duplex, why: Error | ErrorCode) => void;

/**
 * Makes what ends the connections of a server on which something came that is no request. What came whole before on the connection
 * may have killed, so an answer that is owed goes first, and is the last.
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
      // Before the next request of the connection begins.
      res.prependOnceListener('close', () => {
        finish(socket);
      });
    }
    // A request that was refused before its body came has had its answer.
    else if (res?.headersSent === true) finish(socket);
    else {
      const language = languageOf(req?.headers ?? {});
      refuse(socket, { code, cause, language, noted: noteIn(res, code, cause) }, log);
    }
  };
}

/** What is logged of the request that is cut off, if one had begun: what it is told, or would be. Returns its id. */
function noteIn(
  unread: ServerResponse | undefined,
  code: ErrorCode,
  cause: Error | undefined,
): string | undefined {
  // Probes have no line.
  if (unread === undefined || unread.headersSent || isProbe(unread.req)) return undefined;
  const context: Partial<RequestContext> = requestContext(unread as Response);
  if (context.requestId === undefined || isLost(unread.req.socket, cause)) return undefined;
  context.error = new ServiceError(code, undefined, { cause });
  return context.requestId;
}

/** Whether nobody is there any more to be told. */
function isLost(socket: Duplex, cause: Error | undefined): boolean {
  const isReset = cause !== undefined && 'code' in cause && cause.code === 'ECONNRESET';
  return isReset || !socket.writable;
}

/** Returns true for the error of a request that did not come whole in time. */
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
  /** The id of the request that is logged as this; else it is logged here. */
  readonly noted: string | undefined;
}

function refuse(socket: Duplex, { code, cause, language, noted }: Refusal, log: EventLog): void {
  if (isLost(socket, cause)) {
    socket.destroy();
    return;
  }
  const { status, error_code, retryAfter } = ERROR_TABLE[code];
  const requestId = noted ?? newRequestId();
  if (noted === undefined) {
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
  // Who does not close their side must not keep the connection; at once, it could cost them the answer.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
