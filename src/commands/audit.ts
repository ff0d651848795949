import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { pipeline, type Readable } from 'node:stream';
import { isNativeError } from 'node:util/types';
import { createGunzip } from 'node:zlib';
import { verify, type AuditReport } from '../audit/records.ts';
import { EXIT, type ExitCode } from './command-line.ts';

/** A stream for text. */
interface Output {
  write(text: string): unknown;
}

/** A file, and the number of lines in the files before it. */
interface Place {
  readonly file: string;
  readonly before: number;
}

/**
 * Reads audit files in order as one continuous audit, and prints the counts and the problems. Returns exit code 1 if there are problems, and
 * 66 if a file cannot be read.
 */
export async function verifyAudit(
  files: readonly string[],
  output: Output,
  messages: Output,
): Promise<ExitCode> {
  const places: Place[] = [];
  try {
    const report = await verify(linesOf(files, places));
    const at = (line: number): string => placeOf(line, places);
    output.write(`${render(report, at).join('\n')}\n`);
    return isIntact(report) ? EXIT.done : EXIT.trouble;
  } catch (error) {
    const reason = isNativeError(error) ? error.message : String(error);
    messages.write(`session-control: ${places.at(-1)?.file ?? ''} cannot be read: ${reason}\n`);
    return EXIT.noInput;
  }
}

async function* linesOf(files: readonly string[], places: Place[]): AsyncGenerator<string> {
  let before = 0;
  for (const file of files) {
    places.push({ file, before });
    for await (const line of createInterface({ input: await openDecompressed(file) })) {
      before += 1;
      yield line;
    }
  }
}

/** The first bytes of files in other compression formats, in hexadecimal. */
const UNSUPPORTED = {
  fd377a585a00: 'xz',
  '425a68': 'bzip2',
  '28b52ffd': 'zstd',
  '04224d18': 'lz4',
  '4c5a4950': 'lzip',
  '1f9d': 'compress',
  '504b0304': 'zip',
} as const;

/**
 * Opens a file, and decompresses gzip. The first bytes of the file decide, not its name.
 * Throws if the file has another compression format.
 */
async function openDecompressed(file: string): Promise<Readable> {
  const source = createReadStream(file);
  await once(source, 'readable');
  const first = source.read() as Buffer | null;
  if (first === null) return source;
  source.unshift(first);
  const hex = first.toString('hex', 0, 6);
  const [, format] = Object.entries(UNSUPPORTED).find(([magic]) => hex.startsWith(magic)) ?? [];
  if (format !== undefined) {
    source.destroy();
    throw new Error(`it is compressed with ${format}, decompress it first or use gzip`);
  }
  if (!hex.startsWith('1f8b')) return source;
  // An error of the file becomes an error of the returned stream.
  return pipeline(source, createGunzip(), () => undefined);
}

function placeOf(line: number, places: readonly Place[]): string {
  const { file, before } = places.findLast((place) => place.before < line) ?? {
    file: '',
    before: 0,
  };
  return `Line ${line - before}${places.length > 1 ? ` of ${file}` : ''}`;
}

function render(
  { records, torn, withoutOutcome, withoutIntent }: AuditReport,
  at: (line: number) => string,
): string[] {
  const counts = Object.entries(records).map(([kind, count]) => `${count} ${kind}`);
  return [
    `Records: ${counts.join(', ') || 'none'}.`,
    ...torn.map((line) => `${at(line)} is torn.`),
    ...withoutOutcome.map(
      ({ requestId, nodeId, time, ids }) =>
        `Without an outcome: request ${requestId} of ${time} on node ${nodeId}, sessions ${ids.join(', ')}.`,
    ),
    ...withoutIntent.map(
      ({ line, id }) => `${at(line)}: an outcome of session ${id}, but no intent.`,
    ),
    ...(isIntact({ records, torn, withoutOutcome, withoutIntent })
      ? ['Every intent has its outcome, and no line is torn.']
      : []),
  ];
}

function isIntact({ torn, withoutOutcome, withoutIntent }: AuditReport): boolean {
  return torn.length + withoutOutcome.length + withoutIntent.length === 0;
}
