import type { Socket } from 'node:net';
import type { Connection } from 'mysql2';
import { nameIn, rowReader, type List, type ListedThread, type PacketBytes } from './list-rows.ts';

/** The members of a connection that mysql2 leaves out of its types. README.md in this folder has the reason for each. */
interface Mysql2Internals {
  sequenceId: number;
  readonly clientEncoding: string;
  write(buffer: Buffer): void;
  readonly stream: Socket;
  addCommand(command: object): void;
  /** The server's first packet. */
  readonly _handshakePacket?: { readonly serverVersion?: string };
}

/** A packet as the driver passes it to its commands. */
interface Packet extends PacketBytes {
  /** Returns the length with the header of four bytes. */
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

/** At most this many statements are unanswered at the same time, so a broken connection leaves at most this many outcomes unknown. */
const WINDOW = 64;
const OK = 0;

/** Statements to send ahead. */
export interface Pipelined {
  /** Returns the next statement, which must return no rows; undefined if there is none. */
  readonly next: () => string | undefined;
  /** Called with each answer, in the order of the statements: the error, or undefined for OK. */
  readonly answered: (error: Error | undefined) => void;
}

/**
 * Sends statements without waiting for earlier answers. A server reads the statements one by one, and answers each, also after an error.
 * mysql2 has no such command, so this one goes into the queue of mysql2. Resolves when every statement sent has its answer. Throws the
 * driver's error if the connection breaks before.
 */
export function pipeline(connection: Connection, { next, answered }: Pipelined): Promise<void> {
  return new Promise((resolve, reject) => {
    let unanswered = 0;
    const fill = (driver: Mysql2Internals): void => {
      // Refills half of the window at a time, so that statements share network packets.
      if (unanswered > WINDOW / 2) return;
      const packets: Buffer[] = [];
      while (unanswered < WINDOW) {
        const sql = next();
        if (sql === undefined) break;
        packets.push(packetOf(sql));
        unanswered += 1;
      }
      if (packets.length > 0) driver.write(Buffer.concat(packets));
    };
    const command = {
      onResult: reject,
      execute(packet: Packet | undefined, driver: Mysql2Internals): boolean {
        if (packet !== undefined) {
          unanswered -= 1;
          answered(answerIn(packet, driver));
        }
        fill(driver);
        // A statement is packet 0, so its answer begins with packet 1.
        driver.sequenceId = 1;
        if (unanswered > 0) return false;
        resolve();
        return true;
      },
    };
    internalsOf(connection).addCommand(command);
  });
}

/** Returns the error in an answer, or undefined for OK. Throws on any other answer: then the driver breaks the connection. */
function answerIn(packet: Packet, driver: Mysql2Internals): Error | undefined {
  if (packet.isError()) return packet.asError(driver.clientEncoding);
  if (packet.peekByte() !== OK)
    throw new Error('A statement without rows had another answer than OK');
  return undefined;
}

/**
 * Reads the rows of a process list. mysql2 would build an array for each row first. For ten thousand sessions that takes longer than the
 * node takes, so this command goes into the queue of mysql2 instead. Throws the error of the server, or the driver's error if the
 * connection breaks.
 */
export function readList(connection: Connection, sql: string): Promise<List> {
  return new Promise((resolve, reject) => {
    const columns: string[] = [];
    const rows: ListedThread[] = [];
    let next: (packet: Packet) => boolean = header;
    let left = 0;
    let read = rowReader([]);

    function header(packet: Packet): boolean {
      left = packet.readLengthCodedNumber();
      if (!(left > 0)) throw new Error('A list has no columns');
      next = column;
      return false;
    }
    function column(packet: Packet): boolean {
      if (left === 0) {
        // A server that agreed to DEPRECATE_EOF sends the first row here.
        if (!isEof(packet)) throw new Error('No EOF packet ends the columns of a list');
        read = rowReader(columns);
        next = row;
        return false;
      }
      left -= 1;
      columns.push(nameIn(packet).toLowerCase());
      return false;
    }
    function row(packet: Packet): boolean {
      if (!isEof(packet)) {
        rows.push(read(packet));
        return false;
      }
      resolve({ columns, rows });
      return true;
    }
    internalsOf(connection).addCommand({
      onResult: reject,
      execute(packet: Packet | undefined, driver: Mysql2Internals): boolean {
        if (packet === undefined) {
          driver.write(packetOf(sql));
          driver.sequenceId = 1;
          return false;
        }
        if (!packet.isError()) return next(packet);
        reject(packet.asError(driver.clientEncoding));
        return true;
      },
    });
  });
}

/** Returns true for a packet that ends the columns or the rows. A row that begins with this byte is longer. */
function isEof(packet: Packet): boolean {
  return packet.peekByte() === EOF && packet.length() < 13;
}

const EOF = 0xfe;
const COM_QUERY = 3;

/** Returns the packet of a statement. The connection has no statement attributes (open-connection.ts). */
function packetOf(sql: string): Buffer {
  const packet = Buffer.alloc(5 + Buffer.byteLength(sql));
  packet.writeUIntLE(packet.length - 4, 0, 3);
  packet.writeUInt8(COM_QUERY, 4);
  packet.write(sql, 5);
  return packet;
}
