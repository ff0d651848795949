import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isNativeError } from 'node:util/types';
import type { Response } from 'express';
import { ServiceError, type ErrorCode } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import { isProbe } from './health.ts';
import { facts, newRequestId, type RequestFacts } from './request-facts.ts';
import type { EventLog } from './request-log.ts';
import { errorBody } from './wire.ts';

const LINGER_MS = 1000;

/** Ends a connection with the refusal that fits the error of Node's parser, or with this one. */
export type Refuse = (socket: Duplex, why: Error | ErrorCode) => void;

/**
 * Makes what ends the connections of a server on which something came that is no request. What came whole before on the connection
 * may have killed, so an answer that is owed goes first, and is the last.
 */
export function createRefuser(server: Server, log: EventLog): Refuse {
  const exchangesOn = trackExchanges(server);
  const ending = new WeakSet<Duplex>();
  return (socket, why) => {
    if (ending.has(socket)) return;
    ending.add(socket);
    const exchanges = exchangesOn(socket);
    const owed = exchanges.filter(({ req, res }) => req.complete && !res.closed);
    const last = owed.at(-1)?.res;
    const unread = exchanges.find(({ req }) => !req.complete)?.res;
    const code = typeof why === 'string' ? why : codeFor(why);
    const cause = typeof why === 'string' ? undefined : why;
    if (last !== undefined) {
      noteIn(unread, code, cause);
      last.once('close', () => {
        finish(socket);
      });
    }
    // A request that was refused before its body came has had its answer.
    else if (unread?.headersSent === true) finish(socket);
    else refuse(socket, code, log, noteIn(unread, code, cause), cause);
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
  const known: Partial<RequestFacts> = facts(unread as Response);
  if (known.requestId === undefined || isLost(unread.req.socket, cause)) return undefined;
  known.error = new ServiceError(code, undefined, { cause });
  return known.requestId;
}

/** Whether nobody is there any more to be told. */
function isLost(socket: Duplex, cause: Error | undefined): boolean {
  const isReset = cause !== undefined && 'code' in cause && cause.code === 'ECONNRESET';
  return isReset || !socket.writable;
}

interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** Per connection, the exchanges that are not over: not received whole, or not answered. */
function trackExchanges(server: Server): (socket: Duplex) => readonly Exchange[] {
  const exchanges = new WeakMap<Duplex, Exchange[]>();
  const notOver = (socket: Duplex): Exchange[] =>
    (exchanges.get(socket) ?? []).filter(({ req, res }) => !req.complete || !res.closed);
  server.prependListener('request', (req: IncomingMessage, res: ServerResponse) => {
    const { socket } = req;
    if (!exchanges.has(socket)) {
      socket.once('close', () => {
        for (const exchange of notOver(socket)) closeUnheard(exchange.res);
      });
    }
    exchanges.set(socket, [...notOver(socket), { req, res }]);
  });
  return notOver;
}

/** Node tells only the answer whose turn it is that its connection has closed (github.com/nodejs/node/pull/62534): nobody would clear up after the others. */
function closeUnheard(res: ServerResponse): void {
  if (res.closed || res.socket !== null) return;
  Object.assign(res, { destroyed: true, _closed: true });
  res.emit('close');
}

function codeFor(error: Error): ErrorCode {
  const code = isNativeError(error) && 'code' in error ? error.code : undefined;
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'sent_too_slowly';
  return 'malformed_http';
}

/** `noted` is the id of the request that is logged as this; else it is logged here. */
function refuse(
  socket: Duplex,
  code: ErrorCode,
  log: EventLog,
  noted?: string,
  cause?: Error,
): void {
  if (isLost(socket, cause)) {
    socket.destroy();
    return;
  }
  const { status, error_code } = ERROR_TABLE[code];
  const requestId = noted ?? newRequestId();
  if (noted === undefined) {
    log.log('info', 'request', {
      request_id: requestId,
      status,
      address: socket instanceof Socket ? socket.remoteAddress : undefined,
      error_code,
      reason: cause?.message,
    });
  }
  const body = JSON.stringify(errorBody(code, undefined, { language: 'en-us', requestId }));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body).toString()}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
    ...(status === 405 ? ['Allow: DELETE, GET, HEAD, POST'] : []),
  ];
  finish(socket, `${head.join('\r\n')}\r\n\r\n${body}`);
}

function finish(socket: Duplex, answer = ''): void {
  socket.end(answer);
  // Who does not close their side must not keep the connection; at once, it could cost them the answer.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
