import { readBytes, readCompressed, type AuditFile } from './audit-files.ts';
import { recordIn } from './records.ts';

/** The approximate size of a block in bytes. A longer line has its own block. */
const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
/** A block with more instances than this is read for every instance. */
const MAX_INSTANCES = 8;
/** Matches the beginning of a line that the service wrote, which is much faster than parsing each line. */
const BEGINNING = /^\{"record":"(\w+)","time":"([^"\\]+)"(?:,"request_id":"([^"\\]+)")?/;

/** The facts of the index about some lines of a file. */
export interface Block {
  /** The position of its first byte in the content, and its length. */
  readonly at: number;
  readonly bytes: number;
  /** The earliest and the latest time of an intent, in milliseconds since 1970. */
  readonly first: number;
  readonly last: number;
  /** The number of sessions in its intents. */
  readonly count: number;
  /** The ids of requests whose outcome is in this block, but not their intent. */
  readonly carried: readonly string[];
  /** The instances of its intents; undefined if there are many. */
  readonly instances: readonly string[] | undefined;
}

/** A block with its content. */
export interface BlockContent {
  readonly at: number;
  readonly content: Buffer;
}

/** Returns the lines of a block. */
export function linesOf({ content }: Pick<BlockContent, 'content'>): readonly string[] {
  return content.toString('utf8').split('\n');
}

/** Reads the lines of a block for the index. */
export function scanBlock({ at, content }: BlockContent): Block {
  let [first, last, count] = [Infinity, -Infinity, 0];
  const intents = new Set<string>();
  const carried = new Set<string>();
  const instances = new Set<string>();
  // Ids, times and kinds are ASCII, so the encoding of other texts does not matter.
  for (const line of content.toString('latin1').split('\n')) {
    const { record, time, requestId } = beginningOf(line);
    if (record === 'intent') {
      const killTime = Date.parse(time);
      if (Number.isNaN(killTime)) continue;
      first = Math.min(first, killTime);
      last = Math.max(last, killTime);
      count += line.split('{"id":').length - 1;
      instances.add(/"instance_id":"([^"\\]*)"/.exec(line)?.[1] ?? '');
      // A request can also end an old control connection. Its intent has a separate outcome.
      if (!line.includes('"control_connection":true')) intents.add(requestId);
    } else if (record === 'outcome' && !intents.has(requestId)) {
      carried.add(requestId);
    }
  }
  return {
    ...{ at, bytes: content.length, first, last, count },
    carried: [...carried],
    instances: instances.size > MAX_INSTANCES ? undefined : [...instances],
  };
}

/** Reads the last block between the positions `from` and `to` of a file that is not compressed. Both are ends of lines or of the file. Throws `FileChanged`. */
export async function lastBlock(file: AuditFile, from: number, to: number): Promise<BlockContent> {
  for (let bytes = BLOCK_BYTES; ; bytes *= 4) {
    const start = Math.max(from, to - bytes);
    const content = await readBytes(file, start, to - start);
    if (start === from) return { at: from, content };
    const line = content.indexOf(NEWLINE) + 1;
    if (line > 0 && line < content.length)
      return { at: start + line, content: content.subarray(line) };
  }
}

/** Reads a compressed file block by block; the blocks are the same each time. Throws like `readCompressed`, but only after all readable lines. */
export async function* compressedBlocks(file: AuditFile): AsyncGenerator<BlockContent> {
  let [at, rest] = [0, Buffer.alloc(0)];
  const cut = (end: number): BlockContent => {
    const block = { at, content: rest.subarray(0, end) };
    [at, rest] = [at + end, rest.subarray(end)];
    return block;
  };
  let damage: Error | undefined;
  try {
    for await (const chunk of readCompressed(file)) {
      rest = Buffer.concat([rest, chunk]);
      for (let end = endOfBlock(rest); end > 0; end = endOfBlock(rest)) yield cut(end);
    }
  } catch (error) {
    damage = error as Error;
  }
  // The lines before a damaged part are good.
  if (rest.length > 0) yield cut(rest.length);
  if (damage !== undefined) throw damage;
}

function endOfBlock(rest: Buffer): number {
  if (rest.length < BLOCK_BYTES) return 0;
  const end = rest.lastIndexOf(NEWLINE, BLOCK_BYTES - 1) + 1;
  return end > 0 ? end : rest.indexOf(NEWLINE, BLOCK_BYTES) + 1;
}

interface Beginning {
  readonly record: string | undefined;
  readonly time: string;
  readonly requestId: string;
}

function beginningOf(line: string): Beginning {
  const [, record, time = '', id] = BEGINNING.exec(line) ?? [];
  if (record !== undefined && id !== undefined) return { record, time, requestId: id };
  // Another version can have another order of fields.
  const parsed = line.includes('"sessions"') ? recordIn(line) : undefined;
  return {
    record: parsed?.record,
    time: parsed?.time ?? '',
    requestId: parsed?.request_id ?? '',
  };
}
