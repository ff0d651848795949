import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { hasCertainEnd } from './sound-http.ts';

const NOTHING = Buffer.alloc(0);
const [LINE_FEED, CARRIAGE_RETURN] = [10, 13];

/** A request that is not over: not received whole, or not answered. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/**
 * Has a server read one request of a connection at a time. A pipelined request waits as unparsed bytes, of two reads at most, and a body
 * until something reads it. After an answer with `Connection: close` nothing more is read (RFC 9112 section 9.6).
 * `opened` is the event of the server with which Node begins to parse a connection. Returns the exchange of a connection.
 */
export function takeTurns(
  server: Server,
  opened: 'connection' | 'secureConnection',
): (socket: object) => Exchange | undefined {
  const turns = new WeakMap<object, Turns>();
  const later = oneATurn();
  server.on(opened, (socket: Socket) => {
    turns.set(socket, new Turns(socket, later));
  });
  server.prependListener('request', (req: IncomingMessage, res: ServerResponse) => {
    turns.get(req.socket)?.begin({ req, res });
  });
  return (socket) => turns.get(socket)?.exchange;
}

/** Returns what puts off work: one piece a turn of the event loop, so that what has just come in gets ahead of pipelined requests. */
function oneATurn(): (work: () => void) => void {
  const waiting: (() => void)[] = [];
  const next = (): void => {
    waiting[0]?.();
    waiting.shift();
    if (waiting.length > 0) setImmediate(next);
  };
  return (work) => {
    if (waiting.push(work) === 1) setImmediate(next);
  };
}

/** Stands between a socket and Node's parser, which by itself carries out all that one read holds. */
class Turns {
  readonly #socket: Socket;
  readonly #parse: (bytes: Buffer) => void;
  readonly #later: (work: () => void) => void;
  #rest: Buffer = NOTHING;
  #isHeld = false;
  #exchange: Exchange | undefined;
  /** Undefined while the end of the body is not known by its length. */
  #bodyLeft: number | undefined;

  constructor(socket: Socket, later: (work: () => void) => void) {
    this.#socket = socket;
    this.#later = later;
    const [parse] = socket.listeners('data') as [(bytes: Buffer) => void];
    this.#parse = parse;
    socket.removeListener('data', parse);
    socket.on('data', (bytes: Buffer) => {
      this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
      this.#goOn();
    });
    socket.on('drain', () => {
      this.#goOn();
    });
  }

  get exchange(): Exchange | undefined {
    return this.#isOver() ? undefined : this.#exchange;
  }

  begin(exchange: Exchange): void {
    const { req, res } = exchange;
    this.#exchange = exchange;
    if (!hasCertainEnd(req)) res.shouldKeepAlive = false;
    const length = req.headers['content-length'];
    this.#bodyLeft = length === undefined ? undefined : Number(length);
    req.on('resume', () => {
      this.#goOn();
    });
    res.once('close', () => {
      if (this.#rest.length === 0) return;
      this.#later(() => {
        this.#goOn();
      });
    });
  }

  #goOn(): void {
    while (this.#rest.length > 0 && this.#isWanted()) {
      const length = this.#nextLength();
      const bytes = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      this.#parse(bytes);
    }
    if (!this.#socket.writable) this.#rest = NOTHING;
    const isHeld = this.#rest.length > 0;
    if (isHeld) this.#socket.pause();
    else if (this.#isHeld) this.#socket.resume();
    this.#isHeld = isHeld;
  }

  #isWanted(): boolean {
    // Node's parser throws if it gets bytes while it waits for answers to be sent.
    const isParserPaused = (this.#socket as { _paused?: boolean })._paused === true;
    if (!this.#socket.writable || isParserPaused) return false;
    if (this.#exchange === undefined || this.#isOver()) return true;
    const { req } = this.#exchange;
    return !req.complete && req.readableFlowing === true;
  }

  #isOver(): boolean {
    return this.#exchange?.req.complete === true && this.#exchange.res.closed;
  }

  /** The number of bytes that hold the end of at most one request. */
  #nextLength(): number {
    const isBody = this.#exchange !== undefined && !this.#exchange.req.complete;
    if (!isBody || this.#bodyLeft === undefined) return endOfEmptyLine(this.#rest);
    const length = Math.min(this.#bodyLeft, this.#rest.length);
    this.#bodyLeft -= length;
    return length;
  }
}

/** The offset behind the first empty line, with which the head of a request ends, and a chunked body. */
function endOfEmptyLine(bytes: Buffer): number {
  let start = 0;
  // The empty line can have begun in the bytes before.
  while (bytes[start] === LINE_FEED || bytes[start] === CARRIAGE_RETURN) start += 1;
  if (start > 0) return start;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) {
    const next = bytes[at + 1] === CARRIAGE_RETURN ? at + 2 : at + 1;
    if (bytes[next] === LINE_FEED) return next + 1;
  }
  return bytes.length;
}
