import { randomBytes } from 'node:crypto';
import { createServer, STATUS_CODES, type RequestListener, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { isNativeError } from 'node:util/types';
import type { ErrorCode } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import type { EventLog } from './request-log.ts';
import { errorBody } from './wire.ts';

const MAX_HEADER_BYTES = 65_536;

/** The HTTP server around the app. What Node's parser refuses is answered in the contract's shape too. */
export function createListener(
  app: RequestListener,
  { requestTimeoutMs, log }: { readonly requestTimeoutMs: number; readonly log: EventLog },
): Server {
  const server = createServer(
    {
      // Tokens of IAM can be longer than all of Node's own limit for headers.
      maxHeaderSize: MAX_HEADER_BYTES,
      requireHostHeader: false,
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(requestTimeoutMs, 1000),
    },
    app,
  );
  server.on('checkExpectation', app);
  server.on('clientError', (error: Error, socket) => {
    refuse(socket, codeFor(error), log, error);
  });
  server.on('connect', (_req, socket) => {
    refuse(socket, 'method_not_allowed', log);
  });
  return server;
}

/**
 * Stops taking requests, lets those that have begun finish, and resolves when all connections are closed:
 * at once when nothing is going on, after `deadlineMs` at the latest.
 */
export async function stopListening(server: Server, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  // close() alone waits for the clients of idle keep-alive connections.
  const poll = setInterval(() => {
    server.closeIdleConnections();
  }, 50);
  const deadline = setTimeout(() => {
    server.closeAllConnections();
  }, deadlineMs);
  await closed;
  clearInterval(poll);
  clearTimeout(deadline);
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
  const requestId = randomBytes(16).toString('hex');
  const { status, error_code } = ERROR_TABLE[code];
  log.log('info', 'request', { request_id: requestId, status, error_code, reason: error?.message });
  const body = JSON.stringify(errorBody(code, undefined, { language: 'en-us', requestId }));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body).toString()}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
