import { open as openFile, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

/** With less than this the disk counts as full: a record of a thousand sessions takes a fifth of it. */
export const LEAST_FREE_BYTES = 1024 * 1024;
/** What may wait for the disk; further lines are refused. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const NEWLINE = 0x0a;
const LOOK_MS = 1000;
/** How long a line that nobody waits for stays in memory at most, for one to come that takes it along. */
const COMPANY_MS = 10;
/** To read and append, where each write is on disk when it returns (O_SYNC): a write and an fdatasync would be two ways to another thread. */
const FLAGS = 'as+';

/** The part of a file that is used here. */
export type LineFileHandle = Pick<FileHandle, 'write' | 'sync' | 'close' | 'stat' | 'read'>;

export type Open = (path: string, flags: string, mode?: number) => Promise<LineFileHandle>;

interface Waiting {
  readonly line: string;
  readonly done: (failure?: Error) => void;
}

/** Stands between what is for the file that is open and what is for the next. */
const REOPEN = Symbol('reopen');

/**
 * A file to which lines are appended, each on disk before its `append` resolves. Lines that come while others are being written share
 * the next write. A line that was cut short, by a crash or a full disk, stays as it is: the next one begins on a line of its own.
 */
export class LineFile {
  readonly #path: string;
  readonly #open: Open;
  readonly #waiting: (Waiting | typeof REOPEN)[] = [];
  #waitingBytes = 0;
  #handle: LineFileHandle | undefined;
  #isTorn = false;
  #lookedAt = -Infinity;
  #writing: Promise<void> | undefined;
  /** Whether what waits is to be written now. */
  #isDue = false;
  #company: NodeJS.Timeout | undefined;

  constructor(path: string, open: Open = openFile) {
    this.#path = path;
    this.#open = open;
  }

  /**
   * Appends a line, given without its end. Resolves when it is on disk; rejects with Node's error when it cannot be said to be.
   * One that has time goes to the disk with the next that has not, at most 10 ms later: a turn of the disk by itself would be in its way.
   */
  append(line: string, { hasTime = false } = {}): Promise<void> {
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      return Promise.reject(new Error('The disk is too slow: too much waits to be written.'));
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
        this.#company ??= setTimeout(() => {
          this.#begin();
        }, COMPANY_MS);
      }
    });
  }

  /** Lines from now on go to a file of this name, which is made if it is there no more. */
  reopen(): void {
    this.#waiting.push(REOPEN);
    this.#begin();
  }

  /** Writes what waits, and closes the file. */
  async close(): Promise<void> {
    if (this.#waiting.length > 0) this.#begin();
    await this.#writing;
    await this.#drop();
  }

  /** How many bytes more the file system can take. Rejects with Node's error. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(dirname(this.#path));
    return bavail * bsize;
  }

  #begin(): void {
    this.#isDue = true;
    this.#writing ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // What comes in the same turn of the event loop is written together.
    await Promise.resolve();
    while (this.#isDue) {
      this.#isDue = false;
      clearTimeout(this.#company);
      this.#company = undefined;
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
      // After a failed sync nobody knows what a second one would mean: the next line starts with the file opened anew.
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
    // A file that was just made is only there after a power cut if its folder was synced too.
    if (size === 0) await this.#syncFolder();
    return handle;
  }

  /** A file that somebody removed would swallow what nobody can read any more. Looked at now and then. */
  async #isRemoved(handle: LineFileHandle): Promise<boolean> {
    if (performance.now() - this.#lookedAt < LOOK_MS) return false;
    this.#lookedAt = performance.now();
    const isRemoved = (await handle.stat()).nlink === 0;
    if (isRemoved) await handle.close();
    return isRemoved;
  }

  async #syncFolder(): Promise<void> {
    const folder = await this.#open(dirname(this.#path), 'r');
    await folder.sync().finally(() => folder.close());
  }
}
