import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Account } from './server.ts';

/** A client of the X Protocol, with the part that a login and statements need. */
export interface XSession {
  /** Sends a statement and ignores the answer. */
  run(sql: string): void;
  hasEnded(): boolean;
  close(): void;
}

// Mysqlx.ClientMessages and Mysqlx.ServerMessages
const CAPABILITIES_SET = 2;
const AUTHENTICATE_START = 4;
const STATEMENT_EXECUTE = 12;
const OK = 0;
const ERROR = 1;
const AUTHENTICATE_OK = 4;

/** Opens a session over TLS on a port of 127.0.0.1. Rejects with the server's error if it refuses. */
export async function openXSession(port: number, { user, password }: Account): Promise<XSession> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  // { name: 'tls', value: { type: SCALAR, scalar: { type: V_BOOL, v_bool: true } } }
  const scalar = Buffer.from([1 << 3, 7, 8 << 3, 1]);
  const value = Buffer.concat([Buffer.from([1 << 3, 1]), text(2, scalar)]);
  const capability = Buffer.concat([text(1, 'tls'), text(2, value)]);
  send(socket, CAPABILITIES_SET, text(1, text(1, capability)));
  await received(socket, OK);
  const secure = connectTls({ socket, rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  const login = Buffer.concat([text(1, 'PLAIN'), text(2, `\0${user}\0${password}`)]);
  send(secure, AUTHENTICATE_START, login);
  await received(secure, AUTHENTICATE_OK);
  let ended = false;
  for (const event of ['end', 'error', 'close']) secure.on(event, () => (ended = true));
  secure.resume();
  return {
    run: (sql) => {
      send(secure, STATEMENT_EXECUTE, text(1, sql));
    },
    hasEnded: () => ended,
    close: () => {
      socket.destroy();
    },
  };
}

/** Encodes a field of a Protocol Buffers message, of at most 127 bytes. */
function text(field: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes]);
}

function send(socket: Socket | TLSSocket, type: number, body: Buffer): void {
  const head = Buffer.alloc(5);
  head.writeUInt32LE(body.length + 1);
  head[4] = type;
  socket.write(Buffer.concat([head, body]));
}

/** Resolves at the first message of this type. Rejects with the text of an error message. */
async function received(socket: Socket | TLSSocket, wanted: number): Promise<void> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const [more] = (await once(socket, 'data')) as [Buffer];
    bytes = Buffer.concat([bytes, more]);
    while (bytes.length >= 5 && bytes.length >= 4 + bytes.readUInt32LE()) {
      const end = 4 + bytes.readUInt32LE();
      const type = bytes[4];
      if (type === wanted) return;
      if (type === ERROR) throw new Error(bytes.toString('latin1', 5, end));
      bytes = bytes.subarray(end);
    }
  }
}
