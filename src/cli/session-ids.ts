import { addAbortSignal, type Readable } from 'node:stream';
import { usageError } from './failures.ts';

/** A session id from the user. With several nodes it has the form NODE/ID, as `list -o ids` prints it. */
export interface GivenId {
  readonly node: string | undefined;
  readonly id: bigint;
}

const MAX_ID = 2n ** 63n - 1n;

/** Reads ids that commas or white space separate. Throws a usage error for a word that is no id. */
export function readIds(texts: readonly string[]): GivenId[] {
  const words = texts.flatMap((text) => text.split(/[\s,]+/)).filter((word) => word !== '');
  return words.map((word) => {
    const [, node, digits] = /^(?:(.+)\/)?([1-9]\d{0,18})$/.exec(word) ?? [];
    const id = digits === undefined ? 0n : BigInt(digits);
    if (id > 0n && id <= MAX_ID) return { node, id };
    throw usageError(
      `${JSON.stringify(word.slice(0, 64))} is not a session id.`,
      `An id is an integer from 1 to ${MAX_ID}.`,
    );
  });
}

/** Reads a stream to its end as text. Rejects if the signal aborts. */
export async function readAll(stream: Readable, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  addAbortSignal(signal, stream);
  for await (const chunk of stream as AsyncIterable<Buffer | string>)
    chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}
