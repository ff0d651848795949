import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PacedConnection } from './paced-connection.ts';

/** Few, because a new connection can wait for many turns: Node.js accepts one in each. */
const PIECES_A_TURN = 4;
/** Two of the largest bodies that can be configured. Memory holds it twice: as it came, and as what is made of it. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** A kill is seldom larger: it is never turned away for what others send. */
const FREE_BYTES = 16 * 1024;

/**
 * Has a server read one request of a connection at a time, and share its time among the networks of clients. A pipelined request waits as
 * unparsed bytes, of two reads at most, and a body until something reads it. After an answer with `Connection: close` nothing more is read (RFC 9112 section 9.6).
 * `opened` is the event of the server with which Node begins to parse a connection; `turnAway` ends a connection when all
 * of them together hold too many bytes. Returns a function that finds the paced connection of a socket.
 */
export function takeTurns(
  server: Server,
  opened: 'connection' | 'secureConnection',
  turnAway: (socket: Socket) => void,
): (socket: object) => PacedConnection | undefined {
  const paced = new WeakMap<object, PacedConnection>();
  const shared = { turns: new Turns(), held: new HeldBytes(), turnAway };
  server.on(opened, (socket: Socket) => {
    paced.set(socket, new PacedConnection(socket, shared));
  });
  server.prependListener('request', (req: IncomingMessage, res: ServerResponse) => {
    paced.get(req.socket)?.begin({ req, res });
  });
  return (socket) => paced.get(socket);
}

/** Shares the turns of the event loop among the networks of clients, so that none waits for all the requests of another. */
class Turns {
  #left = PIECES_A_TURN;
  #isEnding = false;
  /** Each network with its pieces of work; the network that had a turn longest ago comes first. */
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Does a piece of work at once if this turn has room, and returns true; else when the turn of its network comes. */
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
    // A network that is set again comes last, also in this loop.
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

/** What holds bytes that a client has sent. */
export interface Holder {
  /** Turns away what the client has begun, and holds no more bytes of it. */
  shed(): void;
}

/**
 * One budget for the bytes of all requests that were not read whole. Beyond it, the oldest of them are turned away.
 * A request that was read whole does not count: the limit on requests at once bounds those, and its answer is owed.
 */
export class HeldBytes {
  #total = 0;
  /** In the order in which the requests began. */
  readonly #held = new Map<Holder, number>();

  /** Notes how many bytes of requests that were not read whole `holder` holds; 0 if none. */
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
