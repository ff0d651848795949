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
const FIELDS = ['id', 'user', 'host', 'db', 'command', 'time', 'state', 'info'] as const;

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

    function header(packet: Packet): boolean {
      left = packet.readLengthCodedNumber();
      if (!(left > 0)) throw new Error('A list has no columns');
      next = column;
      return false;
    }
    function column(packet: Packet): boolean {
      if (left === 0) {
        next = row;
        return false;
      }
      left -= 1;
      columns.push(nameIn(packet).toLowerCase());
      return false;
    }
    function row(packet: Packet): boolean {
      if (packet.peekByte() !== EOF || packet.length() >= 13) {
        rows.push(rowIn(packet, columns, rows.at(-1)));
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

function rowIn(
  { buffer, offset }: Packet,
  columns: readonly string[],
  before: ProcessListRow | undefined,
): ProcessListRow {
  const row: Record<Field, string | null> = {
    ...{ id: null, user: null, host: null, db: null },
    ...{ command: null, time: null, state: null, info: null },
  };
  let at = offset;
  for (const name of columns) {
    let length = buffer[at] ?? 0;
    at += 1;
    if (length === NULL) continue;
    if (length >= TWO_BYTES) {
      const bytes = length === TWO_BYTES ? 2 : 3;
      if (length > THREE_BYTES) throw new Error('A list has a text that is too long');
      length = buffer.readUIntLE(at, bytes);
      at += bytes;
    }
    if (isField(name)) row[name] = textIn(buffer, at, length, before?.[name]);
    at += length;
  }
  return row;
}

function isField(name: string): name is Field {
  return (FIELDS as readonly string[]).includes(name);
}

/** Mostly a row says the same as the one before: then it is the same text, and none is made. */
function textIn(
  buffer: Buffer,
  at: number,
  length: number,
  before: string | null | undefined,
): string {
  if (before != null && before.length === length) {
    let same = 0;
    // Above 127 a byte is no character.
    while (
      same < length &&
      buffer[at + same] === before.charCodeAt(same) &&
      (buffer[at + same] ?? 128) < 128
    )
      same += 1;
    if (same === length) return before;
  }
  return buffer.toString('utf8', at, at + length);
}
