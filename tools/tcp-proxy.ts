import { once } from 'node:events';
import { createServer, Socket, type AddressInfo, type Server } from 'node:net';
import { Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';

export type Direction = 'to server' | 'to client';

export type Fault =
  /** Both sides get a FIN. */
  | { readonly kind: 'cut' }
  /** The client gets a RST, the server a FIN. Node reports a RST that comes together with data as an end. */
  | { readonly kind: 'reset' }
  /** Nothing goes on, the end of the sender included; it is held back until it is flushed. */
  | { readonly kind: 'black hole' }
  /** Each chunk waits, one after the other. */
  | { readonly kind: 'delay'; readonly ms: number };

export interface Reach {
  /** How many connections, from the next one on; all by default. */
  readonly connections?: number;
  /** The direction of the black hole or delay; by default the one that is watched. */
  readonly faulty?: Direction;
}

/** Stands between clients and a server, and breaks connections at an exact byte. Sees no text inside TLS. */
export class TcpProxy {
  readonly port: number;
  /** Connections accepted so far. */
  connections = 0;
  /** Faults that have begun so far. */
  struck = 0;
  readonly #listener: Server;
  readonly #lines = new Map<readonly Socket[], readonly Flow[]>();
  #plans: { readonly trigger: Trigger; left: number }[] = [];

  /** Listens on a free port of 127.0.0.1, and connects to this address for each client. */
  static async start(host: string, port: number): Promise<TcpProxy> {
    const proxy = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    return new TcpProxy(proxy, host, port);
  }

  private constructor(listener: Server, host: string, port: number) {
    this.port = (listener.address() as AddressInfo).port;
    this.#listener = listener.on('connection', (client) => {
      const server = this.#join(client);
      if (server.writable) server.connect({ host, port, noDelay: true });
      else server.destroy();
    });
  }

  /** Connections of which at least one side is open. */
  get open(): number {
    return this.#lines.size;
  }

  /** Strikes new connections when so many bytes went on; at 0, a cut or reset precedes the call to the server. */
  inject(
    on: Direction,
    fault: Fault,
    options: Reach & { readonly afterBytes?: number } = {},
  ): void {
    this.#plan({ on, fault, at: options.afterBytes ?? 0 }, options);
  }

  /**
   * Strikes new connections where this text first appears: right after its last byte, or `before` its first one.
   * Of a text that comes in several chunks, `before` stops the last; the earlier ones have gone on.
   */
  injectAt(
    on: Direction,
    text: string,
    fault: Fault,
    options: Reach & { readonly when?: 'before' | 'after' } = {},
  ): void {
    this.#plan({ on, fault, at: { text, when: options.when ?? 'after' } }, options);
  }

  /** Spares new connections; with `flush` open ones too, and what was held back goes on. */
  heal({ flush = false } = {}): void {
    this.#plans = [];
    if (flush) for (const flow of [...this.#lines.values()].flat()) flow.heal();
  }

  /** Ends every connection and stops listening. */
  async close(): Promise<void> {
    const sides = [...this.#lines.keys()].flat().filter(({ closed }) => !closed);
    // Not once(), which rejects on an error.
    const closed = sides.map((side) => new Promise((resolve) => side.on('close', resolve)));
    for (const side of sides) side.destroy();
    await Promise.all([once(this.#listener.close(), 'close'), ...closed]);
  }

  #plan(trigger: Omit<Trigger, 'faulty'>, { faulty = trigger.on, connections = Infinity }: Reach) {
    this.#plans.push({ trigger: { ...trigger, faulty }, left: connections });
  }

  /** Returns the socket of the server, ended if a fault struck at once. */
  #join(client: Socket): Socket {
    this.connections += 1;
    const server = new Socket({ allowHalfOpen: true });
    const strike = ({ fault, faulty }: Trigger): void => {
      this.struck += 1;
      if (fault.kind === 'black hole') flows[faulty].isHeld = true;
      else if (fault.kind === 'delay') flows[faulty].delayMs = fault.ms;
      else if (fault.kind === 'cut') client.end();
      else client.resetAndDestroy();
      if (fault.kind === 'cut') server.end();
      if (fault.kind === 'reset') server.destroySoon();
    };
    const due = this.#plans.filter((plan) => plan.left-- > 0).map(({ trigger }) => trigger);
    const armed = (direction: Direction) => due.filter(({ on }) => on === direction);
    const flows = {
      'to server': new Flow(client, server, armed('to server'), strike),
      'to client': new Flow(server, client, armed('to client'), strike),
    };
    const sides = [client, server];
    this.#lines.set(sides, Object.values(flows));
    for (const side of sides) {
      side.on('close', () => sides.every(({ closed }) => closed) && this.#lines.delete(sides));
    }
    for (const flow of Object.values(flows)) flow.forward(Buffer.alloc(0));
    return server;
  }
}

interface Trigger {
  readonly on: Direction;
  readonly at: number | { readonly text: string; readonly when: 'before' | 'after' };
  readonly fault: Fault;
  readonly faulty: Direction;
}

/** One direction of a connection. What comes for a side that was ended is dropped. */
class Flow extends Writable {
  isHeld = false;
  delayMs = 0;
  #sent = Buffer.alloc(0);
  #isReset = false;
  readonly #to: Socket;
  readonly #strike: (trigger: Trigger) => void;
  #armed: readonly Trigger[];

  constructor(from: Socket, to: Socket, armed: readonly Trigger[], strike: (t: Trigger) => void) {
    super();
    this.#to = to;
    this.#armed = armed;
    this.#strike = strike;
    from.on('error', () => (this.#isReset = true)).on('close', () => this.end());
    from.pipe(this);
  }

  heal(): void {
    this.isHeld = false;
    this.delayMs = 0;
    this.#armed = [];
    this.emit('healed');
  }

  /** Writes up to the next trigger and pulls it; returns what is left. */
  forward(chunk: Buffer): Buffer {
    if (!this.#to.writable) return Buffer.alloc(0);
    const places = this.#armed.map(({ at }) => this.#placeOf(at, chunk));
    const length = Math.min(chunk.length, ...places);
    const due = this.#armed.filter((_, index) => places[index] === length);
    if (length > 0) this.#to.write(chunk.subarray(0, length));
    if (this.#armed.length > 0) this.#sent = Buffer.concat([this.#sent, chunk.subarray(0, length)]);
    this.#armed = this.#armed.filter((trigger) => !due.includes(trigger));
    for (const trigger of due) this.#strike(trigger);
    return chunk.subarray(length);
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    void this.#carry(chunk).then(done);
  }

  override _final(done: () => void): void {
    void this.#passage().then(() => {
      if (this.#isReset) this.#to.resetAndDestroy();
      else this.#to.end();
      done();
    });
  }

  async #carry(chunk: Buffer): Promise<void> {
    for (let rest = chunk; rest.length > 0; rest = this.forward(rest)) await this.#passage();
  }

  async #passage(): Promise<void> {
    if (this.delayMs > 0) await setTimeout(this.delayMs, undefined, { ref: false });
    while (this.isHeld) await once(this, 'healed');
  }

  #placeOf(at: Trigger['at'], chunk: Buffer): number {
    if (typeof at === 'number') return at - this.#sent.length;
    const found = Buffer.concat([this.#sent, chunk]).indexOf(at.text);
    if (found < 0) return Infinity;
    const end = at.when === 'after' ? Buffer.byteLength(at.text) : 0;
    return Math.max(0, found + end - this.#sent.length);
  }
}
