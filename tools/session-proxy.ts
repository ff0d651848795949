import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const HEADER = 4;
const COM_QUERY = 3;
/** The protocol version, the first byte of a greeting. */
const PROTOCOL = 10;
const CLIENT_SSL = 0x0800;
/** The distance from the thread id to the capabilities: the id, the scramble and a filler. */
const CAPABILITIES_BEHIND_ID = 4 + 8 + 1;
/** An OK packet: no rows, no insert id, autocommit. */
const OK = Buffer.from([7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);

/**
 * A proxy with session ids of its own, such as MaxScale and ProxySQL. Its greeting holds its own id, and it answers each KILL itself.
 * It forwards all other statements and offers no TLS.
 */
export class SessionProxy {
  readonly port: number;
  /** The KILL statements that the proxy answered. */
  readonly kills: string[] = [];
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  #lastId = 0;

  /** Listens on a free port of 127.0.0.1, and connects each client to this address. */
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

  /** Closes all connections. */
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

/** Replaces the thread id in the server's greeting and removes the offer of TLS. */
function writeGreeting(packet: Buffer, id: number): void {
  // A full server sends an error instead of a greeting.
  if (packet[HEADER] !== PROTOCOL) return;
  const at = packet.indexOf(0, HEADER + 1) + 1;
  packet.writeUInt32LE(id, at);
  const capabilities = at + CAPABILITIES_BEHIND_ID;
  packet.writeUInt16LE(packet.readUInt16LE(capabilities) & ~CLIENT_SSL, capabilities);
}
