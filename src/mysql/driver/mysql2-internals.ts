import type { Socket } from 'node:net';
import type { Connection } from 'mysql2';

/** The members of a connection that mysql2 leaves out of its types. README.md in this folder says what each is for. */
export interface Mysql2Internals {
  sequenceId: number;
  readonly clientEncoding: string;
  write(buffer: Buffer): void;
  readonly stream: Socket;
  addCommand(command: object): void;
  /** The server's first packet; the driver keeps it. */
  readonly _handshakePacket?: { readonly serverVersion?: string };
}

/** A packet as the driver passes it to its commands. */
export interface Packet {
  readonly buffer: Buffer;
  readonly offset: number;
  /** Its four bytes of header included. */
  length(): number;
  peekByte(): number;
  isError(): boolean;
  asError(encoding: string): Error;
  readLengthCodedNumber(): number;
}

/** Returns the same connection, with its private members. */
export function internalsOf(connection: Connection): Mysql2Internals {
  return connection as unknown as Mysql2Internals;
}

/** Returns the socket of a connection. */
export function streamOf(connection: Connection): Socket {
  return internalsOf(connection).stream;
}

/** Returns true for the packet that ends the columns, and the one that ends the rows. A row that begins so is longer. */
export function isEof(packet: Packet): boolean {
  return packet.peekByte() === EOF && packet.length() < 13;
}

const EOF = 0xfe;
const COM_QUERY = 3;

/** Returns the packet of a statement. The connection has no statement attributes (open-connection.ts). */
export function packetOf(sql: string): Buffer {
  const packet = Buffer.alloc(5 + Buffer.byteLength(sql));
  packet.writeUIntLE(packet.length - 4, 0, 3);
  packet.writeUInt8(COM_QUERY, 4);
  packet.write(sql, 5);
  return packet;
}
