import type { Connection } from 'mysql2';
import type { ProcessListRow } from '../domain/session.ts';
import { packetOf, type Driver, type Packet } from './driver.ts';

/** What a statement returned. */
export interface List {
  /** The names of its columns, in lower case. */
  readonly columns: readonly string[];
  readonly rows: ProcessListRow[];
}

const NULL = 0xfb;
const TWO_BYTES = 0xfc;
const THREE_BYTES = 0xfd;
const EOF = 0xfe;

/**
 * Reads the rows of a process list. The driver would make an array of each first, of which a row is made then: for ten thousand sessions
 * that takes longer than the node. This is a command for its queue. Rejects with the error of the server, or the driver's when the line breaks.
 */
export function readList(connection: Connection, sql: string): Promise<List> {
  return new Promise((resolve, reject) => {
    const columns: string[] = [];
    const rows: ProcessListRow[] = [];
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
        read = rowReader(columns);
        next = row;
        return false;
      }
      left -= 1;
      columns.push(nameIn(packet).toLowerCase());
      return false;
    }
    function row(packet: Packet): boolean {
      if (packet.peekByte() !== EOF || packet.length() >= 13) {
        rows.push(read(packet));
        return false;
      }
      resolve({ columns, rows });
      return true;
    }
    (connection as unknown as Driver).addCommand({
      onResult: reject,
      execute(packet: Packet | undefined, driver: Driver): boolean {
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

/** The name of a column: the fifth text of its definition. */
function nameIn({ buffer, offset }: Packet): string {
  let at = offset;
  for (let text = 0; text < 4; text += 1) at += 1 + (buffer[at] ?? 0);
  return buffer.toString('utf8', at + 1, at + 1 + (buffer[at] ?? 0));
}

/**
 * A row of which only what is looked at in each is made at once: of ten thousand rows a hundred are shown, or one is killed. The rest is
 * still in the bytes that came.
 */
class Row implements ProcessListRow {
  readonly id: string | null;
  readonly user: string | null;
  readonly host: string | null;
  readonly command: string | null;
  readonly #bytes: Buffer;
  readonly #offset: number;
  readonly #columns: readonly string[];

  constructor(
    [id = null, user = null, host = null, command = null]: readonly (string | null)[],
    { buffer, offset }: Packet,
    columns: readonly string[],
  ) {
    [this.id, this.user, this.host, this.command] = [id, user, host, command];
    [this.#bytes, this.#offset, this.#columns] = [buffer, offset, columns];
  }

  get db(): string | null {
    return this.#text('db');
  }

  get time(): string | null {
    return this.#text('time');
  }

  get state(): string | null {
    return this.#text('state');
  }

  get info(): string | null {
    return this.#text('info');
  }

  #text(name: string): string | null {
    let at = this.#offset;
    for (const column of this.#columns) {
      const length = lengthAt(this.#bytes, at);
      at += headAt(this.#bytes, at);
      if (column === name) return length < 0 ? null : this.#bytes.toString('utf8', at, at + length);
      at += Math.max(length, 0);
    }
    return null;
  }
}

const AT_ONCE = ['id', 'user', 'host', 'command'];
/** Mostly the same as in the row before. */
const REPEATED = ['user', 'command'];

/** Makes what reads the rows of a list with these columns. */
function rowReader(columns: readonly string[]): (packet: Packet) => Row {
  const places = columns.map((name) => AT_ONCE.indexOf(name));
  const areRepeated = columns.map((name) => REPEATED.includes(name));
  const texts: (string | null)[] = AT_ONCE.map(() => null);
  return (packet) => {
    const { buffer } = packet;
    let at = packet.offset;
    for (let column = 0; column < places.length; column += 1) {
      const length = lengthAt(buffer, at);
      at += headAt(buffer, at);
      const place = places[column] ?? -1;
      if (place >= 0) {
        const before = areRepeated[column] === true ? (texts[place] ?? null) : null;
        texts[place] = length < 0 ? null : textAt(buffer, at, length, before);
      }
      at += Math.max(length, 0);
    }
    return new Row(texts, packet, columns);
  };
}

/** How long the text is whose length stands there; below 0 for NULL. */
function lengthAt(buffer: Buffer, at: number): number {
  const first = buffer[at] ?? 0;
  if (first < NULL) return first;
  if (first === NULL) return -1;
  if (first > THREE_BYTES) throw new Error('A list has a text that is too long');
  return buffer.readUIntLE(at + 1, first === TWO_BYTES ? 2 : 3);
}

/** How many bytes the length takes that stands there. */
function headAt(buffer: Buffer, at: number): number {
  const first = buffer[at] ?? 0;
  if (first <= NULL) return 1;
  return first === TWO_BYTES ? 3 : 4;
}

function textAt(buffer: Buffer, at: number, length: number, before: string | null): string {
  if (before !== null && isSame(before, buffer, at, length)) return before;
  // For these both are the same, and Node makes it in half the time.
  return buffer.toString(isAscii(buffer, at, length) ? 'latin1' : 'utf8', at, at + length);
}

function isAscii(buffer: Buffer, at: number, length: number): boolean {
  let bits = 0;
  for (let index = 0; index < length; index += 1) bits |= buffer[at + index] ?? 0;
  return bits < 128;
}

/** Mostly a row says the same as the one before: then no new text is made. */
function isSame(before: string, buffer: Buffer, at: number, length: number): boolean {
  if (before.length !== length) return false;
  for (let index = 0; index < length; index += 1) {
    const byte = buffer[at + index] ?? 0;
    // Above 127 a byte is no character.
    if (byte > 127 || byte !== before.charCodeAt(index)) return false;
  }
  return true;
}
