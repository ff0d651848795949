import { open as openFile, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A disk with less free space counts as full. A record of a thousand sessions takes a fifth of this. */
export const LEAST_FREE_BYTES = 1024 * 1024;
/** The most bytes that wait for the disk. Further lines are refused. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const NEWLINE = 0x0a;
/** The file is checked for removal at most once in this time, in milliseconds. */
const REMOVAL_CHECK_MS = 1000;
/** The longest time that a line with `hasTime` waits for another line to share its write, in milliseconds. */
const SHARED_WRITE_MS = 10;
/** Read and append with O_SYNC: each write is on disk when it returns. A separate fdatasync would cost a second trip to another thread. */
const FLAGS = 'as+';

/** The methods of a file handle that `LineFile` uses. */
export type LineFileHandle = Pick<FileHandle, 'write' | 'sync' | 'close' | 'stat' | 'read'>;

/** Opens a file, like `open` of `node:fs/promises`. */
export type Open = (path: string, flags: string, mode?: number) => Promise<LineFileHandle>;

interface Waiting {
  readonly line: string;
  readonly done: (failure?: Error) => void;
}

/** Separates the lines for the open file from the lines for the next file. */
const REOPEN = Symbol('reopen');

/**
 * A file of lines, each on disk before its `append` resolves. Lines that arrive during a write share the next write. A line that a crash or a
 * full disk cut short stays as it is: the next line begins on a new line.
 */
export class LineFile {
  readonly #path: string;
  readonly #open: Open;
  readonly #waiting: (Waiting | typeof REOPEN)[] = [];
  #waitingBytes = 0;
  #handle: LineFileHandle | undefined;
  #isTorn = false;
  #checkedAt = -Infinity;
  #writing: Promise<void> | undefined;
  /** True if the waiting lines are to be written now. */
  #isDue = false;
  #writeTimer: NodeJS.Timeout | undefined;

  constructor(path: string, open: Open = openFile) {
    this.#path = path;
    this.#open = open;
  }

  /**
   * Appends a line, which must have no newline. Resolves once the line is on disk; rejects with Node.js's error if that is not certain.
   * A line with `hasTime` waits at most 10 ms to share the write of a line without it. A separate write would delay that line.
   */
  append(line: string, { hasTime = false } = {}): Promise<void> {
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      return Promise.reject(
        new Error(`The disk is too slow: more than ${MAX_WAITING_BYTES} bytes wait to be written.`),
      );
    }
    this.#waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      const done = (failure?: Error): void => {
        this.#waitingBytes -= bytes;
        if (failure === undefined) resolve();
        else reject(failure);
      };
      this.#waiting.push({ line, done });
      if (!hasTime) this.#begin();
      else {
        this.#writeTimer ??= setTimeout(() => {
          this.#begin();
        }, SHARED_WRITE_MS);
      }
    });
  }

  /** Opens the file of this name again for all later lines, and creates it if it does not exist. */
  reopen(): void {
    this.#waiting.push(REOPEN);
    this.#begin();
  }

  /** Writes the waiting lines, and closes the file. */
  async close(): Promise<void> {
    if (this.#waiting.length > 0) this.#begin();
    await this.#writing;
    await this.#drop();
  }

  /** Returns the free space of the file system in bytes. Rejects with Node.js's error. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(dirname(this.#path));
    return bavail * bsize;
  }

  #begin(): void {
    this.#isDue = true;
    this.#writing ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // Lines that arrive in the same turn of the event loop share one write.
    await Promise.resolve();
    while (this.#isDue) {
      this.#isDue = false;
      clearTimeout(this.#writeTimer);
      this.#writeTimer = undefined;
      const end = this.#waiting.indexOf(REOPEN);
      const batch = this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
      await this.#writeBatch(batch.filter((waiting) => waiting !== REOPEN));
      if (end < 0) continue;
      this.#waiting.shift();
      this.#isDue = true;
      await this.#drop();
    }
    this.#writing = undefined;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    if (batch.length === 0) return;
    let failure: Error | undefined;
    try {
      await this.#write(batch.map(({ line }) => `${line}\n`).join(''));
    } catch (error) {
      failure = error as Error;
    }
    for (const { done } of batch) done(failure);
  }

  async #write(lines: string): Promise<void> {
    try {
      const handle = await this.#current();
      const text = Buffer.from(this.#isTorn ? `\n${lines}` : lines);
      this.#isTorn = true;
      for (let written = 0; written < text.length;) {
        written += (await handle.write(text, written)).bytesWritten;
      }
      this.#isTorn = false;
    } catch (error) {
      // After a failed sync a second sync proves nothing, so the next line opens the file again.
      await this.#drop();
      throw error;
    }
  }

  async #drop(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => undefined);
  }

  async #current(): Promise<LineFileHandle> {
    if (this.#handle !== undefined && !(await this.#isRemoved(this.#handle))) return this.#handle;
    const handle = await this.#open(this.#path, FLAGS, 0o640);
    this.#handle = handle;
    const { size } = await handle.stat();
    const last = size === 0 ? undefined : await handle.read(Buffer.alloc(1), 0, 1, size - 1);
    this.#isTorn = last?.bytesRead === 1 && last.buffer[0] !== NEWLINE;
    // A new file survives a power cut only if its folder is synced too.
    if (size === 0) await this.#syncFolder();
    return handle;
  }

  /** Returns true if the open file was removed: its lines could never be read. Checks at most once a second. */
  async #isRemoved(handle: LineFileHandle): Promise<boolean> {
    if (performance.now() - this.#checkedAt < REMOVAL_CHECK_MS) return false;
    this.#checkedAt = performance.now();
    const isRemoved = (await handle.stat()).nlink === 0;
    if (isRemoved) await handle.close();
    return isRemoved;
  }

  async #syncFolder(): Promise<void> {
    const folder = await this.#open(dirname(this.#path), 'r');
    await folder.sync().finally(() => folder.close());
  }
}
