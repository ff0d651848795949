import type { Connection } from 'mysql2';
import type { ProcessListRow } from '../domain/session.ts';
import { packetOf, type Driver, type Packet } from './driver.ts';

type Field = Exclude<keyof ProcessListRow, 'isClient'>;

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
    let at = positionsIn([]);
    let texts: (string | null)[] = [];

    function header(packet: Packet): boolean {
      left = packet.readLengthCodedNumber();
      if (!(left > 0)) throw new Error('A list has no columns');
      next = column;
      return false;
    }
    function column(packet: Packet): boolean {
      if (left === 0) {
        at = positionsIn(columns);
        texts = columns.map(() => null);
        next = row;
        return false;
      }
      left -= 1;
      columns.push(nameIn(packet).toLowerCase());
      return false;
    }
    function row(packet: Packet): boolean {
      if (packet.peekByte() !== EOF || packet.length() >= 13) {
        readTexts(packet, texts);
        rows.push({
          id: texts[at.id] ?? null,
          user: texts[at.user] ?? null,
          host: texts[at.host] ?? null,
          db: texts[at.db] ?? null,
          command: texts[at.command] ?? null,
          time: texts[at.time] ?? null,
          state: texts[at.state] ?? null,
          info: texts[at.info] ?? null,
        });
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

/** Where each column that a list needs stands among those that it has; -1 where it does not. */
function positionsIn(columns: readonly string[]): Readonly<Record<Field, number>> {
  const at = (name: Field): number => columns.indexOf(name);
  return {
    ...{ id: at('id'), user: at('user'), host: at('host'), db: at('db') },
    ...{ command: at('command'), time: at('time'), state: at('state'), info: at('info') },
  };
}

/** Puts the texts of a row in the place of those of the row before. */
function readTexts({ buffer, offset }: Packet, texts: (string | null)[]): void {
  let at = offset;
  for (let column = 0; column < texts.length; column += 1) {
    let length = buffer[at] ?? 0;
    at += 1;
    if (length === NULL) {
      texts[column] = null;
      continue;
    }
    if (length >= TWO_BYTES) {
      const bytes = length === TWO_BYTES ? 2 : 3;
      if (length > THREE_BYTES) throw new Error('A list has a text that is too long');
      length = buffer.readUIntLE(at, bytes);
      at += bytes;
    }
    const before = texts[column];
    if (before == null || !isSame(before, buffer, at, length)) {
      texts[column] = buffer.toString('utf8', at, at + length);
    }
    at += length;
  }
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
