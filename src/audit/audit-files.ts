import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** The names that rotation gives to a file of the audit, after its own name: `-20261130`, `-20261130.gz`, `.1`. */
const ROTATED = /^(-.*|\.\d+(\.gz)?)$/;
const HEAD_BYTES = 4096;
const MAX_ATTEMPTS = 10;
/** The first bytes of a gzip file. The name of a file does not matter. */
const GZIP = Buffer.from([0x1f, 0x8b]);

/** A file of the audit, as it was when it was listed. */
export interface AuditFile {
  readonly path: string;
  /** Identifies the file. A rename keeps the key; compression and replacement change it. */
  readonly key: string;
  /** The size on disk in bytes. */
  readonly size: number;
  readonly modifiedMs: number;
  readonly isCompressed: boolean;
}

/** Thrown if a file was truncated, renamed, compressed or removed since it was listed. */
export class FileChanged extends Error {}

/** The files of an audit, and those that cannot be read. */
export interface AuditFileList {
  /** The newest first. */
  readonly files: readonly AuditFile[];
  readonly unreadable: readonly { readonly path: string; readonly error: unknown }[];
}

/** Lists the file at `path` and its rotated files. Throws the error of the folder, and `FileChanged` if files are renamed during each attempt. */
export async function listAuditFiles(path: string): Promise<AuditFileList> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const list = await listOnce(path);
    if (list !== undefined) return list;
  }
  throw new FileChanged(path);
}

/** Returns undefined if a file disappeared during the read: it can have another name now. */
async function listOnce(path: string): Promise<AuditFileList | undefined> {
  const [folder, name] = [dirname(path), basename(path)];
  const names = (await readdir(folder)).filter(
    (one) => one === name || (one.startsWith(name) && ROTATED.test(one.slice(name.length))),
  );
  const files: AuditFile[] = [];
  const unreadable: { path: string; error: unknown }[] = [];
  for (const one of names) {
    // Compression writes the new file next to the old one, which stays until the new one is complete.
    if (one.endsWith('.gz') && names.includes(one.slice(0, -'.gz'.length))) continue;
    const file = join(folder, one);
    try {
      const found = await withFile(file, (handle) => describe(file, handle));
      if (found !== undefined) files.push(found);
    } catch (error) {
      if (isMissing(error)) return undefined;
      unreadable.push({ path: file, error });
    }
  }
  return { files: files.sort((one, other) => other.modifiedMs - one.modifiedMs), unreadable };
}

/** Reads bytes of a file that is not compressed. Throws `FileChanged` if they are no longer there. */
export async function readBytes(file: AuditFile, at: number, bytes: number): Promise<Buffer> {
  try {
    return await withFile(file.path, async (handle) => {
      const now = await describe(file.path, handle);
      if (now?.key !== file.key || now.size < file.size) throw new FileChanged(file.path);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, at);
      if (bytesRead < bytes) throw new FileChanged(file.path);
      return buffer;
    });
  } catch (error) {
    throw isMissing(error) ? new FileChanged(file.path) : error;
  }
}

/** Reads the content of a compressed file from its beginning. Throws zlib's error at a damaged part, and `FileChanged` if the file has disappeared. */
export async function* readCompressed(file: AuditFile): AsyncGenerator<Buffer> {
  const source = createReadStream(file.path);
  const content = pipeline(source, createGunzip(), () => undefined);
  try {
    for await (const chunk of content) yield chunk as Buffer;
  } catch (error) {
    throw isMissing(error) ? new FileChanged(file.path) : error;
  } finally {
    content.destroy();
    source.destroy();
  }
}

async function withFile<T>(path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(path, 'r');
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

async function describe(path: string, handle: FileHandle): Promise<AuditFile | undefined> {
  const stat = await handle.stat();
  if (!stat.isFile() || stat.size === 0) return undefined;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
  const head = buffer.subarray(0, bytesRead);
  const isCompressed = head.subarray(0, GZIP.length).equals(GZIP);
  const newline = head.indexOf('\n');
  const first = isCompressed || newline < 0 ? head : head.subarray(0, newline);
  const hash = createHash('sha256').update(first).digest('hex').slice(0, 16);
  // A compressed file does not grow, so another size means another file.
  const key = `${stat.ino}:${hash}${isCompressed ? `:${stat.size}` : ''}`;
  return { path, key, size: stat.size, modifiedMs: stat.mtimeMs, isCompressed };
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}
