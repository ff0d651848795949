import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const HEADER = 4;
const COM_QUERY = 3;
/** The first byte of a greeting. */
const PROTOCOL = 10;
const CLIENT_SSL = 0x0800;
/** Behind the version and the thread id: scramble and filler. */
const CAPABILITIES_BEHIND_ID = 4 + 8 + 1;
/** OK, no rows, no id, autocommit. */
const OK = Buffer.from([7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);

/**
 * A proxy that has session ids of its own, as MaxScale and ProxySQL have: it greets with its id, answers each KILL itself and passes
 * everything else on. It offers no TLS.
 */
export class SessionProxy {
  readonly port: number;
  /** Every KILL that it answered. */
  readonly kills: string[] = [];
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  #lastId = 0;

  /** Listens on a free port of 127.0.0.1 and connects to this address for each client. */
  static async start(host: string, port: number): Promise<SessionProxy> {
    const listener = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new SessionProxy(listener, host, port);
  }

  private constructor(listener: Server, host: string, port: number) {
    this.port = (listener.address() as AddressInfo).port;
    this.#listener = listener.on('connection', (client) => {
      this.#join(client, connect({ host, port, noDelay: true }));
    });
  }

  /** Ends every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await once(this.#listener.close(), 'close');
  }

  #join(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined).once('close', () => this.#sockets.delete(socket));
    }
    client.once('close', () => server.destroy());
    server.once('close', () => client.destroy());
    this.#lastId += 1;
    const id = this.#lastId;
    let isGreeted = false;
    server.on('data', (data: Buffer) => {
      if (!isGreeted) writeGreeting(data, id);
      isGreeted = true;
      client.write(data);
    });
    let rest = Buffer.alloc(0);
    client.on('data', (data: Buffer) => {
      rest = Buffer.concat([rest, data]);
      while (rest.length >= HEADER && rest.length >= HEADER + rest.readUIntLE(0, 3)) {
        const end = HEADER + rest.readUIntLE(0, 3);
        const packet = rest.subarray(0, end);
        rest = rest.subarray(end);
        const sql = packet.toString('utf8', HEADER + 1);
        if (packet[3] === 0 && packet[HEADER] === COM_QUERY && /^\s*KILL\b/i.test(sql)) {
          this.kills.push(sql);
          client.write(OK);
        } else server.write(packet);
      }
    });
  }
}

/** Puts an id of the proxy's into the server's first packet, in place of the server's, and takes the offer of TLS out. */
function writeGreeting(packet: Buffer, id: number): void {
  // A server that is full sends an error in its place.
  if (packet[HEADER] !== PROTOCOL) return;
  const at = packet.indexOf(0, HEADER + 1) + 1;
  packet.writeUInt32LE(id, at);
  const capabilities = at + CAPABILITIES_BEHIND_ID;
  packet.writeUInt16LE(packet.readUInt16LE(capabilities) & ~CLIENT_SSL, capabilities);
}
