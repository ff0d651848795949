import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Response } from 'express';
import { networkOf, peerAddress } from './client-address.ts';
import type { RequestContext } from './request-context.ts';

/** The most connections that are open at once. */
export interface ConnectionBounds {
  readonly all: number;
  /** Of one address, or of one /56 of IPv6. */
  readonly perAddress: number;
}

/**
 * Bounds the connections of a server. Beyond a bound a new connection takes the place of the oldest one without a whole request, else of the
 * oldest one without a caller, else of the oldest one of a caller. A connection that is owed an answer keeps its place. If all are, the new
 * connection is closed. Emits `drop` on the server for each that is closed. Returns the sockets of all connections.
 */
export function boundConnections(
  server: Server,
  { all, perAddress }: ConnectionBounds,
): Iterable<Socket> {
  const sockets = new Set<Socket>();
  const byPeer = new Map<string, Connection>();
  const bySocket = new WeakMap<Socket, Connection>();
  const everybody = new Group(all);
  const networks = new Map<string, Group>();

  server.prependListener('connection', (socket: Socket) => {
    const connection = new Connection(socket);
    const { network, peer } = connection;
    const neighbours = networks.get(network) ?? new Group(perAddress);
    if (![neighbours, everybody].every((group) => group.makeRoom(() => server.emit('drop')))) {
      server.emit('drop');
      socket.destroy();
      return;
    }
    networks.set(network, neighbours);
    sockets.add(socket);
    byPeer.set(peer, connection);
    bySocket.set(socket, connection);
    for (const group of [neighbours, everybody]) group.add(connection);
    const forget = (): void => {
      sockets.delete(socket);
      if (byPeer.get(peer) === connection) byPeer.delete(peer);
      for (const group of [neighbours, everybody]) group.delete(connection);
      // This can run again after another connection began a new group.
      if (neighbours.size === 0 && networks.get(network) === neighbours) networks.delete(network);
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

/** A connection, and what makes it worth keeping. */
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
    this.#note();
    this.#res = res;
  }

  /** True if it has sent a whole request. */
  get hasSentRequest(): boolean {
    this.#note();
    return this.#hasSentRequest;
  }

  /** True if a caller has proved its identity on it. */
  get hasCaller(): boolean {
    this.#note();
    return this.#hasCaller;
  }

  /** True if a request on it may still be carried out. */
  get isOwedAnswer(): boolean {
    return this.#res !== undefined && !this.#res.headersSent && !this.#res.closed;
  }

  close(): void {
    this.onClosing();
    this.#socket.destroy();
  }

  #note(): void {
    if (this.#res === undefined) return;
    const { locals } = this.#res as Partial<Response>;
    this.#hasSentRequest ||= this.#res.req.complete;
    this.#hasCaller ||= (locals as Partial<RequestContext> | undefined)?.caller !== undefined;
  }
}

/** Connections that share a bound, each kind in the order in which they came. */
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

  /** Returns true if there is room for one more, which `onDrop` can have made. */
  makeRoom(onDrop: () => void): boolean {
    if (this.size < this.#most) return true;
    const dropped = this.#leastWanted();
    if (dropped === undefined) return false;
    dropped.close();
    onDrop();
    return true;
  }

  // A connection is moved to its kind when it is looked at, at most twice in its life.
  #leastWanted(): Connection | undefined {
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

// A connection over TLS has two sockets with the same addresses.
function peerOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${String(remoteAddress)} ${String(remotePort)} ${String(localAddress)}`;
}
