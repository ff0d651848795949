import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { networkOf, peerAddress } from './client-address.ts';
import { hasCertainEnd, RequestFraming } from './strict-http.ts';

/** The most lines of a chunked body in one piece of work. A chunk of one byte takes as long as any other. */
const MAX_LINES = 512;
const NOTHING = Buffer.alloc(0);

/** A request that is incomplete or unanswered, with its response. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** The parts that all connections of a server share. */
export interface Shared {
  /** Runs a piece of work when the turn of its network comes. Returns true if the work ran at once. */
  readonly turns: { take(network: string, work: () => void): boolean };
  /** Notes the number of bytes of incomplete requests that a connection holds. */
  readonly held: { note(connection: PacedConnection, bytes: number): void };
  /** Ends a connection with an error, which comes after the response to a complete request. */
  readonly refuse: (socket: Socket) => void;
}

/** Passes bytes of a socket to Node's parser, one request at a time. The parser alone would start all requests of a read together. */
export class PacedConnection {
  readonly #socket: Socket;
  readonly #parse: (bytes: Buffer) => void;
  readonly #shared: Shared;
  readonly #network: string;
  #unparsed: Buffer = NOTHING;
  #isPaused = false;
  #isRefused = false;
  #isQueued = false;
  /** Reports the end of the input to Node's parser. Set after the client closes its side, until the report. */
  #endParser: (() => void) | undefined;
  #exchange: Exchange | undefined;
  /** The number of requests whose head was parsed. */
  #requestCount = 0;
  /** The number of bytes that were parsed of the request in progress. */
  #parsedBytes = 0;
  readonly #framing = new RequestFraming();

  constructor(socket: Socket, shared: Shared) {
    this.#socket = socket;
    this.#shared = shared;
    this.#network = networkOf(peerAddress(socket));
    const [parse] = socket.listeners('data') as [(bytes: Buffer) => void];
    this.#parse = parse;
    socket.removeListener('data', parse);
    socket.on('data', (bytes: Buffer) => {
      this.#unparsed = this.#unparsed.length === 0 ? bytes : Buffer.concat([this.#unparsed, bytes]);
      this.#advance();
    });
    const end = socket.listeners('end').at(-1) as () => void;
    socket.removeListener('end', end);
    socket.once('end', () => {
      this.#endParser = end;
      this.#advance();
    });
    // Reading the body of a request resumes the socket, even while unparsed bytes wait here.
    socket.on('resume', () => {
      if (this.#isPaused) socket.pause();
    });
    socket.on('drain', () => {
      this.#advance();
    });
    socket.once('close', () => {
      shared.held.note(this, 0);
    });
  }

  /** The request in progress, if there is one. */
  get exchange(): Exchange | undefined {
    const isOver = this.#exchange?.req.complete === true && this.#exchange.res.closed;
    return isOver ? undefined : this.#exchange;
  }

  /** Notes that Node's parser has parsed the head of this request. */
  begin(exchange: Exchange): void {
    const { req, res } = exchange;
    this.#exchange = exchange;
    this.#requestCount += 1;
    if (!hasCertainEnd(req)) res.shouldKeepAlive = false;
    this.#framing.beginBody(req);
    req.on('resume', () => {
      this.#advance();
    });
    res.once('close', () => {
      this.#advance();
    });
  }

  /**
   * Returns a function that returns true until the current request is received completely. If no request is being received, the function
   * watches the next one.
   */
  watchReceipt(): () => boolean {
    const isReceiving = (): boolean => this.#exchange?.req.complete === false;
    const number = isReceiving() ? this.#requestCount : this.#requestCount + 1;
    return () => this.#requestCount < number || (this.#requestCount === number && isReceiving());
  }

  /** Ends the connection with an error and drops the bytes of its incomplete request. */
  shed(): void {
    this.#isRefused = true;
    this.#unparsed = NOTHING;
    const { exchange } = this;
    // The listeners hold the bytes that they have read.
    if (exchange?.req.complete === false)
      exchange.req.removeAllListeners('data').removeAllListeners('end');
    this.#shared.refuse(this.#socket);
  }

  /** When the turn of the network comes, parses bytes that wait. Reads on from the socket if no bytes wait. */
  #advance(): void {
    if (!this.#isQueued && this.#unparsed.length > 0 && this.#canParse()) {
      this.#isQueued = true;
      const isDone = this.#shared.turns.take(this.#network, () => {
        this.#isQueued = false;
        this.#parseSome();
        this.#advance();
      });
      if (isDone) return;
    }
    if (!this.#isOpen()) this.#unparsed = NOTHING;
    const isPaused = this.#unparsed.length > 0;
    if (isPaused) this.#socket.pause();
    else if (this.#isPaused) this.#socket.resume();
    this.#isPaused = isPaused;
    this.#noteBytes();
    if (!isPaused) this.#endInput();
  }

  #parseSome(): void {
    let lines = 0;
    while (this.#unparsed.length > 0 && lines < MAX_LINES && this.#canParse()) {
      const { length, chunkLines } = this.#framing.next(this.#unparsed, MAX_LINES - lines);
      const bytes = this.#unparsed.subarray(0, length);
      this.#unparsed = this.#unparsed.subarray(length);
      this.#parsedBytes += length;
      lines += chunkLines;
      this.#parse(bytes);
    }
  }

  /** Reports the end of the input to Node's parser, which fails if bytes of a request are missing. */
  #endInput(): void {
    const end = this.#endParser;
    this.#endParser = undefined;
    if (this.#isOpen()) end?.();
  }

  #noteBytes(): void {
    this.#endExchange();
    const unparsedBytes = this.#unparsed.length === 0 ? 0 : this.#unparsed.buffer.byteLength;
    // A complete request does not count. The rest of a body is discarded once the response is sent.
    const isKept = this.#exchange?.req.complete !== true && this.#exchange?.res.closed !== true;
    this.#shared.held.note(this, unparsedBytes + (isKept ? this.#parsedBytes : 0));
  }

  #endExchange(): void {
    if (this.exchange !== undefined || this.#exchange === undefined) return;
    this.#exchange = undefined;
    this.#framing.endBody();
    this.#parsedBytes = 0;
    // The bytes that wait belong to the next request, which begins only now.
    this.#shared.held.note(this, 0);
  }

  #isOpen(): boolean {
    return this.#socket.writable && !this.#isRefused;
  }

  #canParse(): boolean {
    // Node's parser throws if it gets bytes while it waits until responses are sent.
    const isParserPaused = (this.#socket as { _paused?: boolean })._paused === true;
    if (!this.#isOpen() || isParserPaused) return false;
    this.#endExchange();
    if (this.#exchange === undefined) return true;
    const { req } = this.#exchange;
    return !req.complete && req.readableFlowing === true;
  }
}
