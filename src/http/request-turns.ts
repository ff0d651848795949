import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PacedConnection } from './paced-connection.ts';

/** The pieces of work in one turn of the event loop. The number is small, because Node.js accepts only one new connection in each turn. */
const PIECES_A_TURN = 4;
/** Twice the largest body that the configuration allows. Memory can hold these bytes twice: as received, and in the buffer of a body. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** The first bytes of each request do not count. A kill is seldom larger, and the budget never refuses a smaller request. */
const FREE_BYTES = 16 * 1024;

/**
 * Makes a server parse one request of a connection at a time and share its time among the networks of clients. A pipelined request waits as
 * unparsed bytes of at most two reads. A body waits until a listener reads it. After a response with `Connection: close`, the server parses
 * nothing more of the connection (RFC 9112 section 9.6). `opened` is the event of the server at which Node.js begins to parse a connection.
 * `refuse` ends a connection if all connections together hold too many bytes. Returns a function that returns a socket's paced connection.
 */
export function paceConnections(
  server: Server,
  opened: 'connection' | 'secureConnection',
  refuse: (socket: Socket) => void,
): (socket: object) => PacedConnection | undefined {
  const paced = new WeakMap<object, PacedConnection>();
  const shared = { turns: new Turns(), held: new HeldBytes(), refuse };
  server.on(opened, (socket: Socket) => {
    paced.set(socket, new PacedConnection(socket, shared));
  });
  server.prependListener('request', (req: IncomingMessage, res: ServerResponse) => {
    paced.get(req.socket)?.begin({ req, res });
  });
  return (socket) => paced.get(socket);
}

/** Shares the turns of the event loop among the networks of clients, so that no network waits for all requests of another. */
class Turns {
  #left = PIECES_A_TURN;
  #isEnding = false;
  /** Each network with its pieces of work; the network that had a turn longest ago comes first. */
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Runs a piece of work at once and returns true if this turn has room. Otherwise, runs it when the turn of its network comes. */
  take(network: string, work: () => void): boolean {
    if (!this.#isEnding) setImmediate(this.#next);
    this.#isEnding = true;
    if (this.#left > 0) {
      this.#left -= 1;
      work();
      return true;
    }
    const others = this.#waiting.get(network) ?? new Set();
    this.#waiting.set(network, others.add(work));
    return false;
  }

  readonly #next = (): void => {
    this.#isEnding = false;
    this.#left = PIECES_A_TURN;
    // A network that is set again moves to the end of the map, also during this loop.
    for (const [network, pieces] of this.#waiting) {
      if (this.#left === 0) return;
      const [work] = pieces;
      this.#waiting.delete(network);
      if (work === undefined) continue;
      pieces.delete(work);
      if (pieces.size > 0) this.#waiting.set(network, pieces);
      this.take(network, work);
    }
  };
}

/** A holder of bytes that a client has sent. */
export interface Holder {
  /** Refuses the client's incomplete request and drops its bytes. */
  shed(): void;
}

/**
 * One budget for the bytes of all incomplete requests. Beyond the budget, the requests whose bytes have counted for longest are refused.
 * A complete request does not count: its caller must get a response, and the limit on requests in progress bounds complete requests.
 */
export class HeldBytes {
  #total = 0;
  /** The counted bytes of each holder, in the order in which these bytes began to count. */
  readonly #held = new Map<Holder, number>();

  /** Notes the number of bytes of an incomplete request that `holder` holds; 0 if it holds none. */
  note(holder: Holder, bytes: number): void {
    this.#count(holder, Math.max(0, bytes - FREE_BYTES));
    for (const oldest of this.#held.keys()) {
      if (this.#total <= MAX_HELD_BYTES) return;
      this.#count(oldest, 0);
      oldest.shed();
    }
  }

  #count(holder: Holder, bytes: number): void {
    this.#total += bytes - (this.#held.get(holder) ?? 0);
    if (bytes === 0) this.#held.delete(holder);
    else this.#held.set(holder, bytes);
  }
}
