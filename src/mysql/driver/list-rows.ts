import type { ProcessListRow, ServerThread } from '../../domain/session.ts';

/** The rows of a process list, with the names of its columns. */
export interface List {
  /** The names of its columns, in lower case. */
  readonly columns: readonly string[];
  readonly rows: ListedThread[];
}

/** A row of a process list. Its thread can be added later. */
export interface ListedThread extends ProcessListRow {
  thread?: ServerThread | undefined;
}

/** The bytes of a packet: they begin at `offset`. */
export interface PacketBytes {
  readonly buffer: Buffer;
  readonly offset: number;
}

const NULL = 0xfb;
const TWO_BYTES = 0xfc;
const THREE_BYTES = 0xfd;

/** Returns the name of a column: the fifth text of its definition. */
export function nameIn({ buffer, offset }: PacketBytes): string {
  let at = offset;
  for (let text = 0; text < 4; text += 1) at += 1 + (buffer[at] ?? 0);
  return buffer.toString('utf8', at + 1, at + 1 + (buffer[at] ?? 0));
}

/**
 * A row that decodes at once only the columns that every request reads. It decodes each other column when a request reads it. Of ten
 * thousand rows, a request shows a hundred or kills one.
 */
class Row implements ListedThread {
  declare thread?: ServerThread | undefined;
  readonly id: string | null;
  readonly user: string | null;
  readonly host: string | null;
  readonly command: string | null;
  readonly #bytes: string;
  readonly #offset: number;
  readonly #columns: readonly string[];

  constructor(
    texts: readonly (string | null)[],
    bytes: string,
    offset: number,
    columns: readonly string[],
  ) {
    this.id = texts[0] ?? null;
    this.user = texts[1] ?? null;
    this.host = texts[2] ?? null;
    this.command = texts[3] ?? null;
    this.#bytes = bytes;
    this.#offset = offset;
    this.#columns = columns;
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
      if (column === name) return length < 0 ? null : textOf(this.#bytes.slice(at, at + length));
      at += Math.max(length, 0);
    }
    return null;
  }
}

/** The columns to decode at once, in this order. */
const AT_ONCE = ['id', 'user', 'host', 'command'];
/** The columns that mostly repeat the previous row: then both rows share one text. */
const REPEATED = ['user', 'command'];
/** V8 copies slices that are shorter than this. A longer slice, or one of this length, keeps the whole text in memory. */
const SHORTEST_CUT = 13;

/** Returns a function that reads the rows of a list with these columns. */
export function rowReader(columns: readonly string[]): (packet: PacketBytes) => ListedThread {
  const places = columns.map((name) => AT_ONCE.indexOf(name));
  const areRepeated = columns.map((name) => REPEATED.includes(name));
  const texts: (string | null)[] = AT_ONCE.map(() => null);
  const before = AT_ONCE.map(() => '');
  let buffer: Buffer | undefined;
  let bytes = '';
  return (packet) => {
    if (packet.buffer !== buffer) {
      // Many rows share a buffer. To decode it once, and to slice each row from the text, takes half the time.
      buffer = packet.buffer;
      bytes = buffer.toString('latin1');
    }
    let at = packet.offset;
    for (let column = 0; column < places.length; column += 1) {
      const length = lengthAt(bytes, at);
      at += headAt(bytes, at);
      const place = places[column] ?? -1;
      if (place >= 0 && length < 0) {
        texts[place] = null;
      } else if (place >= 0) {
        const last = before[place] ?? '';
        const isSame =
          areRepeated[column] === true &&
          texts[place] !== null &&
          last.length === length &&
          bytes.startsWith(last, at);
        if (!isSame) {
          // The history of internal threads keeps ids, and must not keep the text of the whole list.
          const isCopied = place === 0 && length >= SHORTEST_CUT;
          const shown = isCopied
            ? buffer.toString('latin1', at, at + length)
            : bytes.slice(at, at + length);
          before[place] = shown;
          texts[place] = textOf(shown);
        }
      }
      at += Math.max(length, 0);
    }
    return new Row(texts, bytes, packet.offset, columns);
  };
}

/** Returns the length of the text whose header stands at `at`, in bytes; below 0 for NULL. */
function lengthAt(bytes: string, at: number): number {
  const first = bytes.charCodeAt(at);
  if (first < NULL) return first;
  if (first === NULL) return -1;
  if (first > THREE_BYTES) throw new Error('A list has a text that is too long');
  const length = bytes.charCodeAt(at + 1) + 256 * bytes.charCodeAt(at + 2);
  return first === TWO_BYTES ? length : length + 65536 * bytes.charCodeAt(at + 3);
}

/** Returns the size of the header that stands at `at`, in bytes. */
function headAt(bytes: string, at: number): number {
  const first = bytes.charCodeAt(at);
  if (first <= NULL) return 1;
  return first === TWO_BYTES ? 3 : 4;
}

/** Returns the text of these UTF-8 bytes. Each character of `bytes` is one byte. */
function textOf(bytes: string): string {
  for (let index = 0; index < bytes.length; index += 1) {
    if (bytes.charCodeAt(index) > 127) return Buffer.from(bytes, 'latin1').toString();
  }
  return bytes;
}
