import { once } from 'node:events';
import { createServer, Socket, type AddressInfo, type Server } from 'node:net';
import { Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';

/** After a FIN to the server, its socket is destroyed if the server sends no FIN within this time. */
const LINGER_MS = 1000;
/** The interval between two writes if the bandwidth is limited. */
const PIECE_SECONDS = 0.02;

/** A direction of a connection. */
export type Direction = 'to server' | 'to client';

/** The position of a fault: before or after a text, or before the first byte of the answer to that text. */
export type When = 'before' | 'after' | 'answered';

/** A fault of a connection. */
export type Fault =
  /** Both sides get a FIN. */
  | { readonly kind: 'cut' }
  /** The client gets a RST, the server a FIN. Node reports a RST that arrives together with data as an end. */
  | { readonly kind: 'reset' }
  /** All data and the sender's FIN are held back until a flush. */
  | { readonly kind: 'black hole' }
  /** Each chunk is delayed, one after the other. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** At most this many bytes are forwarded in a second, and then the FIN. */
  | { readonly kind: 'bandwidth'; readonly bytesPerSecond: number }
  /** The sender gets a FIN. The receiver gets nothing until a flush. */
  | { readonly kind: 'half-open' }
  /** The sender gets a FIN. The receiver gets only a FIN, `ms` milliseconds later. */
  | { readonly kind: 'slow close'; readonly ms: number };

/** The connections and the direction that a fault affects. */
export interface Reach {
  /** The number of new connections; all by default. */
  readonly connections?: number;
  /** The direction with the fault; by default the watched direction. A cut or reset affects both. */
  readonly faulty?: Direction;
}

/** A proxy that breaks connections at an exact byte. It cannot read text inside TLS. */
export class TcpProxy {
  readonly port: number;
  /** The number of connections accepted. */
  connections = 0;
  /** The number of faults that have begun. */
  struck = 0;
  /** The address to which new connections are forwarded. */
  target: { readonly host: string; readonly port: number };
  readonly #listener: Server;
  readonly #forwarded = new Map<readonly Socket[], ForwardedConnection>();
  #plans: { readonly trigger: Trigger; left: number }[] = [];

  /** Listens on a free port of 127.0.0.1, or at `listen`, and connects each client to this address. */
  static async start(
    host: string,
    port: number,
    listen: { readonly host: string; readonly port: number } = { host: '127.0.0.1', port: 0 },
  ): Promise<TcpProxy> {
    const proxy = createServer({ allowHalfOpen: true, noDelay: true }).listen(listen);
    await once(proxy, 'listening');
    return new TcpProxy(proxy, host, port);
  }

  private constructor(listener: Server, host: string, port: number) {
    this.port = (listener.address() as AddressInfo).port;
    this.target = { host, port };
    this.#listener = listener.on('connection', (client) => {
      const server = this.#join(client);
      if (server.writable) server.connect({ ...this.target, noDelay: true });
      else server.destroy();
    });
  }

  /** The number of connections with at least one open side. */
  get open(): number {
    return this.#forwarded.size;
  }

  /** Breaks new connections after `afterBytes` bytes. At 0, a cut or reset happens before the connection to the server. */
  inject(
    on: Direction,
    fault: Fault,
    options: Reach & { readonly afterBytes?: number } = {},
  ): void {
    this.#plan({ on, fault, at: options.afterBytes ?? 0 }, options);
  }

  /**
   * Breaks new connections where this text first appears: after its last byte, before its first byte, or before the answer.
   * If the text comes in several chunks, `before` holds back only the last chunk.
   */
  injectAt(
    on: Direction,
    text: string,
    fault: Fault,
    options: Reach & { readonly when?: When } = {},
  ): void {
    this.#plan({ on, fault, at: { text, when: options.when ?? 'after' } }, options);
  }

  /** Breaks all open connections now. */
  strike(faulty: Direction, fault: Fault): void {
    for (const connection of [...this.#forwarded.values()]) connection.strike({ fault, faulty });
  }

  /** Ends the faults of new connections. With `flush`, also ends those of open ones and forwards the data held back. */
  heal({ flush = false } = {}): void {
    this.#plans = [];
    const flows = [...this.#forwarded.values()].flatMap((connection) => connection.flows);
    if (flush) for (const flow of flows) flow.heal();
  }

  /** Closes all connections and stops listening. */
  async close(): Promise<void> {
    const sides = [...this.#forwarded.keys()].flat().filter(({ closed }) => !closed);
    // once() would reject on an error of the socket.
    const closed = sides.map((side) => new Promise((resolve) => side.on('close', resolve)));
    for (const side of sides) side.destroy();
    await Promise.all([once(this.#listener.close(), 'close'), ...closed]);
  }

  #plan(trigger: Omit<Trigger, 'faulty'>, { faulty = trigger.on, connections = Infinity }: Reach) {
    this.#plans.push({ trigger: { ...trigger, faulty }, left: connections });
  }

  /** Returns the socket to the server, which is no longer writable if a fault hit before the first byte. */
  #join(client: Socket): Socket {
    this.connections += 1;
    const server = new Socket({ allowHalfOpen: true });
    const sides = [client, server];
    const strike = ({ fault, faulty }: Pick<Trigger, 'fault' | 'faulty'>): void => {
      this.struck += 1;
      const flow = flows[faulty];
      const [sender, receiver] = faulty === 'to server' ? [client, server] : [server, client];
      if (fault.kind === 'delay') flow.delayMs = fault.ms;
      else if (fault.kind === 'bandwidth') flow.bytesPerSecond = fault.bytesPerSecond;
      else if (fault.kind === 'cut') for (const side of sides) side.end();
      else if (fault.kind === 'reset') {
        client.resetAndDestroy();
        // A socket that is destroyed with unread data would send a RST to the server too.
        server.end();
        void pause(LINGER_MS).then(() => server.destroy());
      } else {
        flow.isHeld = true;
        if (fault.kind !== 'black hole') sender.end();
        if (fault.kind === 'slow close') void pause(fault.ms).then(() => receiver.end());
      }
    };
    const pull = (trigger: Trigger): void => {
      const isAwaited = typeof trigger.at === 'object' && trigger.at.when === 'answered';
      if (isAwaited) flows[trigger.on === 'to server' ? 'to client' : 'to server'].arm(trigger);
      else strike(trigger);
    };
    const due = this.#plans.filter((plan) => plan.left-- > 0).map(({ trigger }) => trigger);
    const armed = (direction: Direction) => due.filter(({ on }) => on === direction);
    const flows = {
      'to server': new Flow(client, server, armed('to server'), pull),
      'to client': new Flow(server, client, armed('to client'), pull),
    };
    this.#forwarded.set(sides, { flows: Object.values(flows), strike });
    for (const side of sides) {
      side.on('close', () => sides.every(({ closed }) => closed) && this.#forwarded.delete(sides));
    }
    for (const flow of Object.values(flows)) flow.forward(Buffer.alloc(0));
    return server;
  }
}

interface ForwardedConnection {
  readonly flows: readonly Flow[];
  readonly strike: (hit: Pick<Trigger, 'fault' | 'faulty'>) => void;
}

interface Trigger {
  readonly on: Direction;
  readonly at: number | { readonly text: string; readonly when: When };
  readonly fault: Fault;
  readonly faulty: Direction;
}

/** One direction of a connection. Data for a closed side is dropped. */
class Flow extends Writable {
  isHeld = false;
  delayMs = 0;
  bytesPerSecond = Infinity;
  #sent = Buffer.alloc(0);
  #isReset = false;
  readonly #to: Socket;
  readonly #pull: (trigger: Trigger) => void;
  #armed: readonly Trigger[];

  constructor(from: Socket, to: Socket, armed: readonly Trigger[], pull: (t: Trigger) => void) {
    super();
    this.#to = to;
    this.#armed = armed;
    this.#pull = pull;
    from.on('error', () => (this.#isReset = true)).on('close', () => this.end());
    from.pipe(this);
  }

  /** Sets a trigger that fires before the next byte. */
  arm(trigger: Trigger): void {
    this.#armed = [...this.#armed, { ...trigger, at: this.#sent.length }];
  }

  heal(): void {
    this.isHeld = false;
    this.delayMs = 0;
    this.bytesPerSecond = Infinity;
    this.#armed = [];
    this.emit('healed');
  }

  /** Writes the chunk up to the next trigger and fires that trigger. Returns the rest of the chunk. */
  forward(chunk: Buffer): Buffer {
    if (!this.#to.writable) return Buffer.alloc(0);
    const places = this.#armed.map(({ at }) => this.#placeOf(at, chunk));
    const length = Math.min(chunk.length, ...places);
    const due = this.#armed.filter((_, index) => places[index] === length);
    if (length > 0) this.#to.write(chunk.subarray(0, length));
    if (this.#armed.length > 0) this.#sent = Buffer.concat([this.#sent, chunk.subarray(0, length)]);
    this.#armed = this.#armed.filter((trigger) => !due.includes(trigger));
    for (const trigger of due) this.#pull(trigger);
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
    for (let rest = chunk; rest.length > 0;) {
      const piece = rest.subarray(0, Math.max(1, this.bytesPerSecond * PIECE_SECONDS));
      await this.#passage(piece.length);
      rest = rest.subarray(piece.length - this.forward(piece).length);
    }
  }

  async #passage(bytes = 0): Promise<void> {
    const ms = this.delayMs + (bytes * 1000) / this.bytesPerSecond;
    if (ms > 0) await pause(ms);
    while (this.isHeld) await once(this, 'healed');
  }

  #placeOf(at: Trigger['at'], chunk: Buffer): number {
    if (typeof at === 'number') return at - this.#sent.length;
    const found = Buffer.concat([this.#sent, chunk]).indexOf(at.text);
    if (found < 0) return Infinity;
    const end = at.when === 'before' ? 0 : Buffer.byteLength(at.text);
    return Math.max(0, found + end - this.#sent.length);
  }
}

async function pause(ms: number): Promise<void> {
  await setTimeout(ms, undefined, { ref: false });
}
