import { write as writeFile } from 'node:fs';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNativeError } from 'node:util/types';

/** The most bytes that wait to be written. Further lines are lost. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
const BATCH_LINES = 256;
/** The time for which lines are gathered. A write for each line would wake another thread during the next request. */
const GATHER_MS = 10;
const FULL_PIPE_MS = 20;
const STDOUT = 1;

/** Writes the bytes that begin at this offset to a file descriptor. Resolves to the number of written bytes. */
export type WriteTo = (
  fd: number,
  bytes: Buffer,
  offset: number,
) => Promise<{ bytesWritten: number }>;

/**
 * Writes log lines to standard output and never delays its caller. A terminal, a pipe or a disk that hangs blocks one of Node's threads,
 * not the service. Lines that cannot be written are lost and counted.
 */
export class LogOutput {
  /** The number of lines that were lost since the start. */
  lost = 0;
  /** Called when lines can be written again, with the number of lines that were lost before. */
  onRecovered: (lost: number) => void = () => undefined;
  readonly #fd: number;
  readonly #write: WriteTo;
  readonly #waiting: string[] = [];
  #waitingBytes = 0;
  #isWriting = false;
  #isTorn = false;
  #reported = 0;

  constructor(fd = STDOUT, write: WriteTo = promisify(writeFile)) {
    [this.#fd, this.#write] = [fd, write];
  }

  /** Queues a line, which ends in a line break. */
  add(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      this.lost += 1;
      return;
    }
    this.#waitingBytes += bytes;
    this.#waiting.push(line);
    if (!this.#isWriting) void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    await sleep(GATHER_MS);
    while (this.#waiting.length > 0) {
      const lines = this.#waiting.splice(0, BATCH_LINES);
      const text = lines.join('');
      if (!(await this.#writeText(this.#isTorn ? `\n${text}` : text))) this.lost += lines.length;
      else this.#reportLost();
      this.#waitingBytes -= Buffer.byteLength(text);
    }
    this.#isWriting = false;
  }

  /** Writes the text. Resolves to false if it cannot be written, or only in part. */
  async #writeText(text: string): Promise<boolean> {
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length;) {
      try {
        written += (await this.#write(this.#fd, bytes, written)).bytesWritten;
        this.#isTorn = written < bytes.length;
      } catch (error) {
        if (!isNativeError(error) || !('code' in error) || error.code !== 'EAGAIN') return false;
        // The pipe is full, and another process made it non-blocking.
        await sleep(FULL_PIPE_MS);
      }
    }
    return true;
  }

  #reportLost(): void {
    const lost = this.lost - this.#reported;
    if (lost === 0) return;
    this.#reported = this.lost;
    this.onRecovered(lost);
  }
}
