/** What the driver's own commands have of it; it is not in its types. */
export interface Driver {
  sequenceId: number;
  readonly clientEncoding: string;
  write(buffer: Buffer): void;
  addCommand(command: object): void;
  /** The server's first packet; the driver keeps it. */
  readonly _handshakePacket?: { readonly serverVersion?: string };
}

/** What the driver hands to its commands. */
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

const COM_QUERY = 3;

/** A statement as it goes over the line: the connection has no attributes of statements (connection.ts). */
export function packetOf(sql: string): Buffer {
  const packet = Buffer.alloc(5 + Buffer.byteLength(sql));
  packet.writeUIntLE(packet.length - 4, 0, 3);
  packet.writeUInt8(COM_QUERY, 4);
  packet.write(sql, 5);
  return packet;
}
