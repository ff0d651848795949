import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { App } from './express-prototypes.ts';
import { boundConnections } from './connections.ts';
import { createRefuser, isTimeout } from './parser-errors.ts';
import { logCount, type EventLog } from './request-log.ts';
import { takeTurns } from './request-turns.ts';
import { MAX_HEADERS } from './strict-http.ts';

const MAX_HEADER_BYTES = 65_536;
const HANDSHAKE_TIMEOUT_MS = 5000;
/** Each can have a request that waits. */
const MAX_CONNECTIONS = 8192;
const MAX_CONNECTIONS_PER_ADDRESS = 1024;

/** What the listener presents, and whose certificates it wants of clients: PEM. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string | undefined;
}

/** How the listener treats its clients. */
export interface ListenerSettings {
  /** How long a client may take to send a request. */
  readonly requestTimeoutMs: number;
  /** How long an idle connection stays open, in milliseconds. Node.js adds a second. */
  readonly keepAliveTimeoutMs?: number;
  readonly log: EventLog;
  readonly tls?: ListenerTls | undefined;
  /** How many may be connected at once; 8,192 by default. */
  readonly maxConnections?: number;
  /** Of these, how many with one address; 1,024 by default. */
  readonly maxConnectionsPerAddress?: number;
}

/** The HTTP server around the app. What Node's parser refuses is answered in the contract's shape too. */
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
    // Tokens of IAM can be longer than all of Node's own limit for headers.
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
  // Who asks whether to send a body hears it from what reads it.
  server.on('checkContinue', (req, res) => server.emit('request', req, res));
  // An expectation that nobody knows is not met, and the request is one like others.
  server.on('checkExpectation', (req, res) => server.emit('request', req, res));
  const opened = tls === undefined ? 'connection' : 'secureConnection';
  const pacedOn = takeTurns(server, opened, (socket) => {
    refuse(socket, 'overloaded');
  });
  const refuse = createRefuser((socket) => pacedOn(socket)?.exchange, log);
  // While the process stands still, whole requests wait unread: Node reports them as late before it reads them.
  const refuseIfStillSlow = (socket: Duplex, timeout: Error): void => {
    const isIncomplete = pacedOn(socket)?.watchReceipt();
    setTimeout(() => {
      if (isIncomplete?.() !== false) refuse(socket, timeout);
    }, options.connectionsCheckingInterval).unref();
  };
  const bounds = {
    all: maxConnections ?? MAX_CONNECTIONS,
    perAddress: maxConnectionsPerAddress ?? MAX_CONNECTIONS_PER_ADDRESS,
  };
  SOCKETS.set(server, boundConnections(server, bounds));
  // There is nobody to answer before TLS is agreed on, and ending such a connection does not close it.
  const isSecured = new WeakSet<Duplex>();
  server.on('secureConnection', (socket: Duplex) => {
    isSecured.add(socket);
    // As without TLS: Node's own server does this for clear connections only.
    socket.allowHalfOpen = true;
  });
  server.on('clientError', (error: Error, socket) => {
    if (tls !== undefined && !isSecured.has(socket)) socket.destroy();
    else if (isTimeout(error)) refuseIfStillSlow(socket, error);
    else refuse(socket, error);
  });
  // A tunnel is nobody's to ask for. Node has let go of the socket by then: without a listener its error ends the process.
  server.on('connect', (_req, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    refuse(socket, 'method_not_allowed');
  });
  // Who has sent all they had may close their side and still hear what came of it.
  Object.assign(server, { httpAllowHalfOpen: true });
  // Node drops further headers without an error: one more than the limit shows that there were too many.
  server.maxHeadersCount = MAX_HEADERS + 1;
  server.on('drop', logCount(log, 'connections dropped'));
  return server;
}

/** From now on new connections get this certificate; those that are open keep theirs. Does nothing to a server without TLS. */
export function replaceTls(server: Server, tls: ListenerTls): void {
  if (server instanceof TlsServer) server.setSecureContext(secure(tls));
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
    // Not closeAllConnections(): it knows only those on which HTTP is spoken.
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

/** The sockets of each server, those included on which nothing was said yet. */
const SOCKETS = new WeakMap<Server, Iterable<Socket>>();
