import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { until } from './lib/until.ts';

const LIMIT_MS = 25_000;

/** A program on a pseudo-terminal, made with `script` of util-linux, which every Debian has. */
export class Terminal {
  /** All text that the program has written, with its colour codes. */
  shown = '';
  /** The exit code, or undefined before the end. */
  code: number | null | undefined;
  readonly #child: ChildProcessWithoutNullStreams;

  /** Runs a shell line on a terminal with this many columns and rows. */
  constructor(
    line: string,
    environment: Readonly<Record<string, string>>,
    columns: number,
    rows = 24,
  ) {
    // Without the trap, Ctrl-C would end the shell and hide the exit code of the program.
    const all = `trap : INT; stty cols ${columns} rows ${rows}; ${line}`;
    this.#child = spawn('script', ['--quiet', '--return', '--command', all, '/dev/null'], {
      env: environment,
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.shown += text));
    this.#child.on('close', (code) => (this.code = code));
  }

  /** Types these keys. Ctrl-C is `\x03`. */
  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  /** Waits until the terminal has shown this text. Rejects if the program ends first. */
  async shows(text: string | RegExp): Promise<void> {
    await until(
      `the terminal shows ${String(text)}`,
      () => {
        if (this.code !== undefined && !this.#has(text)) throw new Error(`It ended: ${this.shown}`);
        return this.#has(text);
      },
      LIMIT_MS,
    );
  }

  /** Takes the terminal away if the program still runs. The kernel then sends SIGHUP to the program. */
  close(): void {
    if (this.code === undefined) this.#child.kill('SIGKILL');
  }

  /** Resolves to the exit code when the program has ended. */
  async ended(): Promise<number | null> {
    await until('the program has ended', () => this.code !== undefined, LIMIT_MS);
    return this.code ?? null;
  }

  #has(text: string | RegExp): boolean {
    return typeof text === 'string' ? this.shown.includes(text) : text.test(this.shown);
  }
}
