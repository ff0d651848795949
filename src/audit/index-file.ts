import { createHash } from 'node:crypto';
import { readFile, rename, statfs, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Block } from './blocks.ts';

const VERSION = 1;
/** With less free space, the index is not written: the audit needs the space more. */
const LEAST_FREE_BYTES = 64 * 1024 * 1024;

/** The blocks of a file that the index knows. */
export interface IndexedFile {
  /** By position, the last one first. */
  blocks: Block[];
  /** The size of the file at the last refresh, in bytes. */
  size: number;
  modifiedMs: number;
  /** The hash of the last bytes before the end of the last block. */
  seam: string;
  /** True if all readable lines of a compressed file were read. */
  isDone: boolean;
  /** True if a part of a compressed file cannot be read. */
  isDamaged: boolean;
}

/** Reads the index beside the audit file. Returns an empty one if it is missing, damaged, or of another version. */
export async function loadIndex(auditPath: string): Promise<Map<string, IndexedFile>> {
  try {
    const [hash, body = ''] = (await readFile(pathOf(auditPath), 'utf8')).split('\n');
    if (hash !== hashOf(body)) return new Map();
    const { version, files } = JSON.parse(body, revived) as {
      version: number;
      files: [string, IndexedFile][];
    };
    return new Map(version === VERSION ? files : []);
  } catch {
    return new Map();
  }
}

/** Writes the index beside the audit file if at least 64 MiB are free. Ignores all errors. */
export async function saveIndex(
  auditPath: string,
  files: ReadonlyMap<string, IndexedFile>,
): Promise<void> {
  const next = `${pathOf(auditPath)}.new`;
  try {
    const { bavail, bsize } = await statfs(dirname(auditPath));
    if (bavail * bsize < LEAST_FREE_BYTES) return;
    const body = JSON.stringify({ version: VERSION, files: [...files] });
    await writeFile(next, `${hashOf(body)}\n${body}\n`, { mode: 0o640 });
    await rename(next, pathOf(auditPath));
  } catch {
    await unlink(next).catch(() => undefined);
  }
}

function pathOf(auditPath: string): string {
  return `${auditPath}.index`;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

// A block without an intent has no times: JSON turns its infinities into null.
function revived(key: string, value: unknown): unknown {
  if (value !== null) return value;
  return key === 'first' ? Infinity : -Infinity;
}
