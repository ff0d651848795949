import { connect, type Socket } from 'node:net';

/** Called with the status and the body of a response as Latin-1 text, or with status 0 if the connection broke first. */
export type OnAnswer = (status: number, body: string) => void;

/**
 * A keep-alive connection to the service with one request at a time. It parses only the part of HTTP that the service's responses use:
 * Node's own client needs as much processor time for a request as the service, and both share two cores.
 */
export class HttpConnection {
  /** True if another request can be sent. */
  isOpen = true;
  /** When the last response came, in milliseconds of `performance.now()`; Infinity before the first one. */
  idleSince = Infinity;
  /** Resolves when the connection is open or has failed. */
  readonly connected: Promise<void>;
  readonly #socket: Socket;
  #text = '';
  #onAnswer: OnAnswer | undefined;

  constructor(port: number, onClose: () => void) {
    this.#socket = connect(port, '127.0.0.1').setNoDelay(true).setEncoding('latin1');
    this.#socket.on('data', (text: string) => {
      this.#text += text;
      this.#read();
    });
    this.#socket.on('error', () => undefined);
    this.connected = new Promise((resolve) => {
      this.#socket.once('connect', resolve).once('close', resolve);
    });
    this.#socket.on('close', () => {
      this.isOpen = false;
      this.#settle(0);
      onClose();
    });
  }

  /** Sends a request. The last response must have come before. */
  send(request: string, onAnswer: OnAnswer): void {
    this.#onAnswer = onAnswer;
    this.#socket.write(request, 'latin1');
  }

  /** Closes the connection. */
  close(): void {
    this.#socket.destroy();
  }

  #read(): void {
    const headEnd = this.#text.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#text.slice(0, headEnd);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#text.length < headEnd + 4 + length) return;
    const body = this.#text.slice(headEnd + 4);
    this.#text = '';
    if (/\r\nconnection: *close/i.test(head)) this.isOpen = false;
    this.#settle(Number(head.slice(9, 12)), body);
  }

  #settle(status: number, body = ''): void {
    const onAnswer = this.#onAnswer;
    this.idleSince = performance.now();
    this.#onAnswer = undefined;
    onAnswer?.(status, body);
  }
}
