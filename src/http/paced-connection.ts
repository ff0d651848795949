import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { networkOf, peerAddress } from './client-address.ts';
import { hasCertainEnd, RequestFraming } from './strict-http.ts';

/** The most lines of a chunked body that are parsed at once: a chunk of a byte takes as long as any other. */
const MAX_LINES = 512;
const NOTHING = Buffer.alloc(0);

/** A request that is not over: not received whole, or not answered. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** What the connections of a server have in common. */
export interface Shared {
  /** Does a piece of work when the turn of its network comes. Returns true if that was at once. */
  readonly turns: { take(network: string, work: () => void): boolean };
  /** Notes how many bytes of an unfinished request a connection holds. */
  readonly held: { note(connection: PacedConnection, bytes: number): void };
  readonly turnAway: (socket: Socket) => void;
}

/** Stands between a socket and Node's parser, which by itself carries out all that one read holds. */
export class PacedConnection {
  readonly #socket: Socket;
  readonly #parse: (bytes: Buffer) => void;
  readonly #shared: Shared;
  readonly #network: string;
  #rest: Buffer = NOTHING;
  #isHeld = false;
  #isShed = false;
  #isQueued = false;
  /** Set while the client has closed its side and Node's parser does not know. */
  #end: (() => void) | undefined;
  #exchange: Exchange | undefined;
  /** The number of requests whose head has come. */
  #begun = 0;
  /** The bytes that were parsed of a request that is not over. */
  #parsed = 0;
  readonly #framing = new RequestFraming();

  constructor(socket: Socket, shared: Shared) {
    this.#socket = socket;
    this.#shared = shared;
    this.#network = networkOf(peerAddress(socket));
    const [parse] = socket.listeners('data') as [(bytes: Buffer) => void];
    this.#parse = parse;
    socket.removeListener('data', parse);
    socket.on('data', (bytes: Buffer) => {
      this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
      this.#goOn();
    });
    const end = socket.listeners('end').at(-1) as () => void;
    socket.removeListener('end', end);
    socket.once('end', () => {
      this.#end = end;
      this.#goOn();
    });
    // A request whose body is read resumes its socket, whatever still waits here.
    socket.on('resume', () => {
      if (this.#isHeld) socket.pause();
    });
    socket.on('drain', () => {
      this.#goOn();
    });
    socket.once('close', () => {
      shared.held.note(this, 0);
    });
  }

  get exchange(): Exchange | undefined {
    const isOver = this.#exchange?.req.complete === true && this.#exchange.res.closed;
    return isOver ? undefined : this.#exchange;
  }

  begin(exchange: Exchange): void {
    const { req, res } = exchange;
    this.#exchange = exchange;
    this.#begun += 1;
    if (!hasCertainEnd(req)) res.shouldKeepAlive = false;
    this.#framing.beginBody(req);
    req.on('resume', () => {
      this.#goOn();
    });
    res.once('close', () => {
      this.#goOn();
    });
  }

  /** Returns a function that returns true until the request that the connection now receives, or the next one, has come whole. */
  watchReceipt(): () => boolean {
    const isReceiving = (): boolean => this.#exchange?.req.complete === false;
    const number = isReceiving() ? this.#begun : this.#begun + 1;
    return () => this.#begun < number || (this.#begun === number && isReceiving());
  }

  shed(): void {
    this.#isShed = true;
    this.#rest = NOTHING;
    const { exchange } = this;
    // Together with what they have read.
    if (exchange?.req.complete === false)
      exchange.req.removeAllListeners('data').removeAllListeners('end');
    this.#shared.turnAway(this.#socket);
  }

  /** Has what waits parsed in its turn if it is wanted, and reads on if nothing waits. */
  #goOn(): void {
    if (!this.#isQueued && this.#rest.length > 0 && this.#isWanted()) {
      this.#isQueued = true;
      const isDone = this.#shared.turns.take(this.#network, () => {
        this.#isQueued = false;
        this.#parseSome();
        this.#goOn();
      });
      if (isDone) return;
    }
    if (!this.#isOpen()) this.#rest = NOTHING;
    const isHeld = this.#rest.length > 0;
    if (isHeld) this.#socket.pause();
    else if (this.#isHeld) this.#socket.resume();
    this.#isHeld = isHeld;
    this.#note();
    if (!isHeld) this.#endInput();
  }

  #parseSome(): void {
    let lines = 0;
    while (this.#rest.length > 0 && lines < MAX_LINES && this.#isWanted()) {
      const { length, chunkLines } = this.#framing.next(this.#rest, MAX_LINES - lines);
      const bytes = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      this.#parsed += length;
      lines += chunkLines;
      this.#parse(bytes);
    }
  }

  /** Reports the end of the input to Node's parser, which fails if bytes of a request are missing. */
  #endInput(): void {
    const end = this.#end;
    this.#end = undefined;
    if (this.#isOpen()) end?.();
  }

  #note(): void {
    this.#endExchange();
    const restBytes = this.#rest.length === 0 ? 0 : this.#rest.buffer.byteLength;
    // A body that nobody reads any more is not kept.
    const isKept = this.#exchange?.req.complete !== true && this.#exchange?.res.closed !== true;
    this.#shared.held.note(this, restBytes + (isKept ? this.#parsed : 0));
  }

  #endExchange(): void {
    if (this.exchange !== undefined || this.#exchange === undefined) return;
    this.#exchange = undefined;
    this.#framing.endBody();
    this.#parsed = 0;
    // What waits behind it begins to be a request only now.
    this.#shared.held.note(this, 0);
  }

  #isOpen(): boolean {
    return this.#socket.writable && !this.#isShed;
  }

  #isWanted(): boolean {
    // Node's parser throws if it gets bytes while it waits for answers to be sent.
    const isParserPaused = (this.#socket as { _paused?: boolean })._paused === true;
    if (!this.#isOpen() || isParserPaused) return false;
    this.#endExchange();
    if (this.#exchange === undefined) return true;
    const { req } = this.#exchange;
    return !req.complete && req.readableFlowing === true;
  }
}
