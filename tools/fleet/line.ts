import { connect, type Socket } from 'node:net';

/** Hears the status of an answer, and its body byte for character; 0 when the line broke before. */
export type OnAnswer = (status: number, body: string) => void;

/**
 * A keep-alive connection to the service, one request at a time. It knows just enough of HTTP for the service's answers: the
 * client of Node costs as much for each request as the service does, and there are two cores for both.
 */
export class Line {
  isOpen = true;
  /** Since when it has waited for another request. */
  idleSince = Infinity;
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

  send(request: string, onAnswer: OnAnswer): void {
    this.#onAnswer = onAnswer;
    this.#socket.write(request, 'latin1');
  }

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
