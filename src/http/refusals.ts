import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isNativeError } from 'node:util/types';
import type { ErrorCode } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import { newRequestId } from './request-facts.ts';
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
    if (last !== undefined)
      last.once('close', () => {
        finish(socket);
      });
    // A request that was refused before its body came has had its answer.
    else if (exchanges.some(({ req, res }) => !req.complete && res.headersSent)) finish(socket);
    else if (typeof why === 'string') refuse(socket, why, log);
    else refuse(socket, codeFor(why), log, why);
  };
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
    exchanges.set(req.socket, [...notOver(req.socket), { req, res }]);
  });
  return notOver;
}

function codeFor(error: Error): ErrorCode {
  const code = isNativeError(error) && 'code' in error ? error.code : undefined;
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'sent_too_slowly';
  return 'malformed_http';
}

function refuse(socket: Duplex, code: ErrorCode, log: EventLog, error?: Error): void {
  if (!socket.writable || (error && 'code' in error && error.code === 'ECONNRESET')) {
    socket.destroy();
    return;
  }
  const requestId = newRequestId();
  const { status, error_code } = ERROR_TABLE[code];
  log.log('info', 'request', {
    request_id: requestId,
    status,
    address: socket instanceof Socket ? socket.remoteAddress : undefined,
    error_code,
    reason: error?.message,
  });
  const body = JSON.stringify(errorBody(code, undefined, { language: 'en-us', requestId }));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body).toString()}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
    ...(status === 405 ? ['Allow: DELETE, GET, HEAD'] : []),
  ];
  finish(socket, `${head.join('\r\n')}\r\n\r\n${body}`);
}

function finish(socket: Duplex, answer = ''): void {
  socket.end(answer);
  // Who does not close their side must not keep the connection; at once, it could cost them the answer.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
