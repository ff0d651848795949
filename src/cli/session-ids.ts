import { addAbortSignal, type Readable } from 'node:stream';
import { usageError } from './failures.ts';

/** An id as it was given: with the node, as `list -o ids` prints it when there are several. */
export interface GivenId {
  readonly node: string | undefined;
  readonly id: bigint;
}

const MAX_ID = 2n ** 63n - 1n;

/** Reads ids exactly, with commas or blanks between them. Throws a usage error for what is no id. */
export function readIds(texts: readonly string[]): GivenId[] {
  const words = texts.flatMap((text) => text.split(/[\s,]+/)).filter((word) => word !== '');
  return words.map((word) => {
    const [, node, digits] = /^(?:([A-Za-z0-9]+)\/)?([1-9]\d{0,18})$/.exec(word) ?? [];
    const id = digits === undefined ? 0n : BigInt(digits);
    if (id > 0n && id <= MAX_ID) return { node, id };
    throw usageError(
      `${JSON.stringify(word.slice(0, 64))} is no session id.`,
      `Ids are integers from 1 to ${MAX_ID}.`,
    );
  });
}

/** All that comes from a stream, as text. Rejects when it is interrupted. */
export async function readAll(stream: Readable, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  addAbortSignal(signal, stream);
  for await (const chunk of stream as AsyncIterable<Buffer | string>)
    chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}
