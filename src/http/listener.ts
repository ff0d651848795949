import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { App } from './express-prototypes.ts';
import { boundConnections } from './connections.ts';
import { createRefuser, isTimeout } from './parser-errors.ts';
import { logCount, type EventLog } from './request-log.ts';
import { paceConnections } from './request-turns.ts';
import { MAX_HEADERS } from './strict-http.ts';

const MAX_HEADER_BYTES = 65_536;
const HANDSHAKE_TIMEOUT_MS = 5000;
/** The default limit on connections. Each connection can have one request that waits for a place. */
const MAX_CONNECTIONS = 8192;
const MAX_CONNECTIONS_PER_ADDRESS = 1024;

/** The certificate, key and client authorities of the listener, in PEM. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
  /** If set, a client must present a certificate that one of these authorities issued. */
  readonly ca?: string | undefined;
}

/** The settings of a listener. */
export interface ListenerSettings {
  /** The time in which a client must send a request, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** The time after which an idle connection is closed, in milliseconds. Node.js adds one second. */
  readonly keepAliveTimeoutMs?: number;
  readonly log: EventLog;
  readonly tls?: ListenerTls | undefined;
  /** The most concurrent connections; 8,192 by default. */
  readonly maxConnections?: number;
  /** The most concurrent connections of one address; 1,024 by default. */
  readonly maxConnectionsPerAddress?: number;
}

/** Creates the HTTP server around the app. A request that Node's parser rejects also gets a response in the format of the API. */
export function createListener(
  app: RequestListener & Partial<App>,
  {
    requestTimeoutMs,
    keepAliveTimeoutMs,
    log,
    tls,
    maxConnections,
    maxConnectionsPerAddress,
  }: ListenerSettings,
): Server {
  const options = {
    ...app.expressPrototypes,
    // A token of IAM alone can exceed Node's default limit for all headers.
    maxHeaderSize: MAX_HEADER_BYTES,
    requireHostHeader: false,
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    ...(keepAliveTimeoutMs !== undefined && { keepAliveTimeout: keepAliveTimeoutMs }),
    connectionsCheckingInterval: Math.min(requestTimeoutMs, 1000),
  };
  const server =
    tls === undefined
      ? createServer(options, app)
      : createTlsServer(
          { ...options, ...secure(tls), handshakeTimeout: HANDSHAKE_TIMEOUT_MS },
          app,
        );
  // `readBody` handles `Expect: 100-continue`, because Node.js would also send a 100 for a body that is too large.
  server.on('checkContinue', (req, res) => server.emit('request', req, res));
  // An unknown expectation is ignored: by default, Node.js answers it with 417.
  server.on('checkExpectation', (req, res) => server.emit('request', req, res));
  const opened = tls === undefined ? 'connection' : 'secureConnection';
  const pacedConnectionOf = paceConnections(server, opened, (socket) => {
    refuse(socket, 'overloaded');
  });
  const refuse = createRefuser((socket) => pacedConnectionOf(socket)?.exchange, log);
  // After a stall of the process, Node.js reports requests as late before it reads their bytes from the sockets.
  const refuseIfStillSlow = (socket: Duplex, timeout: Error): void => {
    const isIncomplete = pacedConnectionOf(socket)?.watchReceipt();
    setTimeout(() => {
      if (isIncomplete?.() !== false) refuse(socket, timeout);
    }, options.connectionsCheckingInterval).unref();
  };
  const bounds = {
    all: maxConnections ?? MAX_CONNECTIONS,
    perAddress: maxConnectionsPerAddress ?? MAX_CONNECTIONS_PER_ADDRESS,
  };
  SOCKETS.set(server, boundConnections(server, bounds));
  // Before the end of the TLS handshake no response can be sent, and `end` does not close the connection.
  const isSecured = new WeakSet<Duplex>();
  server.on('secureConnection', (socket: Duplex) => {
    isSecured.add(socket);
    // Node.js sets this only on connections without TLS.
    socket.allowHalfOpen = true;
  });
  server.on('clientError', (error: Error, socket) => {
    if (tls !== undefined && !isSecured.has(socket)) socket.destroy();
    else if (isTimeout(error)) refuseIfStillSlow(socket, error);
    else refuse(socket, error);
  });
  // No client may open a tunnel. Node.js has removed its listeners from the socket, and an error without a listener would end the process.
  server.on('connect', (_req, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    refuse(socket, 'method_not_allowed');
  });
  // A client may close its side after its requests and still receive the responses.
  Object.assign(server, { httpAllowHalfOpen: true });
  // Node.js drops further headers without an error: one header above the limit shows that there were too many.
  server.maxHeadersCount = MAX_HEADERS + 1;
  server.on('drop', logCount(log, 'connections dropped'));
  return server;
}

/** Replaces the certificate for new connections. Open connections keep theirs. Does nothing on a server without TLS. */
export function replaceTls(server: Server, tls: ListenerTls): void {
  if (server instanceof TlsServer) server.setSecureContext(secure(tls));
}

/**
 * Stops accepting connections and waits until the requests in progress are answered and all connections are closed. After `deadlineMs`
 * milliseconds, closes the connections that remain.
 */
export async function stopListening(server: Server, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  // close() alone waits until clients close their idle keep-alive connections.
  const poll = setInterval(() => {
    server.closeIdleConnections();
  }, 50);
  const deadline = setTimeout(() => {
    // closeAllConnections() would miss connections whose TLS handshake is not complete.
    for (const socket of SOCKETS.get(server) ?? []) socket.destroy();
  }, deadlineMs);
  await closed;
  clearInterval(poll);
  clearTimeout(deadline);
}

function secure({ cert, key, ca }: ListenerTls) {
  const clients = ca !== undefined && { ca, requestCert: true, rejectUnauthorized: true };
  return { cert, key, minVersion: 'TLSv1.2' as const, ...clients };
}

/** The sockets of each server, including sockets that have received no byte. */
const SOCKETS = new WeakMap<Server, Iterable<Socket>>();
