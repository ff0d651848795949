import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Response } from 'express';
import { networkOf, peerAddress } from './client-address.ts';
import type { RequestContext } from './request-context.ts';

/** The limits on concurrent connections. */
export interface ConnectionBounds {
  readonly all: number;
  /** The limit of one IPv4 address, or of one /56 of IPv6. */
  readonly perAddress: number;
}

/**
 * Bounds the connections of a server. Beyond a bound, a new connection replaces the oldest connection that has not sent a whole request. If
 * there is none, the new connection replaces the oldest one without a caller, or else one with a caller. A connection with a whole,
 * unanswered request is never replaced. If every connection has one, the new connection is closed. Emits `drop` on the server for each
 * connection that this function closes. Returns the sockets of all connections.
 */
export function boundConnections(
  server: Server,
  { all, perAddress }: ConnectionBounds,
): Iterable<Socket> {
  const sockets = new Set<Socket>();
  const byPeer = new Map<string, Connection>();
  const bySocket = new WeakMap<Socket, Connection>();
  const allConnections = new Group(all);
  const networks = new Map<string, Group>();

  server.prependListener('connection', (socket: Socket) => {
    const connection = new Connection(socket);
    const { network, peer } = connection;
    const sameNetwork = networks.get(network) ?? new Group(perAddress);
    if (
      ![sameNetwork, allConnections].every((group) => group.makeRoom(() => server.emit('drop')))
    ) {
      server.emit('drop');
      socket.destroy();
      return;
    }
    networks.set(network, sameNetwork);
    sockets.add(socket);
    byPeer.set(peer, connection);
    bySocket.set(socket, connection);
    for (const group of [sameNetwork, allConnections]) group.add(connection);
    const forget = (): void => {
      sockets.delete(socket);
      if (byPeer.get(peer) === connection) byPeer.delete(peer);
      for (const group of [sameNetwork, allConnections]) group.delete(connection);
      // `forget` can run twice, the second time after another connection began a new group.
      if (sameNetwork.size === 0 && networks.get(network) === sameNetwork) networks.delete(network);
    };
    connection.onClosing = forget;
    socket.once('close', forget);
  });
  server.prependListener('secureConnection', (socket: Socket) => {
    const connection = byPeer.get(peerOf(socket));
    if (connection !== undefined) bySocket.set(socket, connection);
  });
  server.prependListener('request', ({ socket }: IncomingMessage, res: ServerResponse) => {
    bySocket.get(socket)?.serve(res);
  });
  return sockets;
}

/** A connection, with the facts that decide whether a new connection replaces it. */
class Connection {
  readonly network: string;
  readonly peer: string;
  onClosing: () => void = () => undefined;
  readonly #socket: Socket;
  #res: ServerResponse | undefined;
  #hasSentRequest = false;
  #hasCaller = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.network = networkOf(peerAddress(socket));
    this.peer = peerOf(socket);
  }

  serve(res: ServerResponse): void {
    this.#update();
    this.#res = res;
  }

  /** True if the client has sent a whole request. */
  get hasSentRequest(): boolean {
    this.#update();
    return this.#hasSentRequest;
  }

  /** True if a request on the connection was authenticated. */
  get hasCaller(): boolean {
    this.#update();
    return this.#hasCaller;
  }

  /** True if the newest request has no response yet. */
  get isOwedAnswer(): boolean {
    return this.#res !== undefined && !this.#res.headersSent && !this.#res.closed;
  }

  close(): void {
    this.onClosing();
    this.#socket.destroy();
  }

  #update(): void {
    if (this.#res === undefined) return;
    const { locals } = this.#res as Partial<Response>;
    this.#hasSentRequest ||= this.#res.req.complete;
    this.#hasCaller ||= (locals as Partial<RequestContext> | undefined)?.caller !== undefined;
  }
}

/** Connections that share a bound, in three kinds: without a whole request, without a caller, and with a caller. */
class Group {
  readonly #most: number;
  readonly #silent = new Set<Connection>();
  readonly #strangers = new Set<Connection>();
  readonly #callers = new Set<Connection>();

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#silent.size + this.#strangers.size + this.#callers.size;
  }

  add(connection: Connection): void {
    this.#silent.add(connection);
  }

  delete(connection: Connection): void {
    for (const kind of [this.#silent, this.#strangers, this.#callers]) kind.delete(connection);
  }

  /** Makes room for one more connection. Calls `onDrop` if this closes another connection. Returns false if all must stay open. */
  makeRoom(onDrop: () => void): boolean {
    if (this.size < this.#most) return true;
    const dropped = this.#findReplaceable();
    if (dropped === undefined) return false;
    dropped.close();
    onDrop();
    return true;
  }

  // A connection changes its kind only during this search, at most twice.
  #findReplaceable(): Connection | undefined {
    for (const connection of this.#silent) {
      if (!connection.hasSentRequest) return connection;
      this.#silent.delete(connection);
      this.#strangers.add(connection);
    }
    for (const connection of this.#strangers) {
      if (connection.hasCaller) {
        this.#strangers.delete(connection);
        this.#callers.add(connection);
      } else if (!connection.isOwedAnswer) return connection;
    }
    for (const connection of this.#callers) {
      if (!connection.isOwedAnswer) return connection;
    }
    return undefined;
  }
}

// A connection over TLS has two sockets with the same addresses, so the addresses identify the connection.
function peerOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${String(remoteAddress)} ${String(remotePort)} ${String(localAddress)}`;
}
