import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { until } from './lib/until.ts';

const LIMIT_MS = 25_000;

/** A pseudo-terminal with a program on it, by `script` of util-linux, which every Debian has. */
export class Terminal {
  /** What stands on it, colours and all. */
  shown = '';
  code: number | null | undefined;
  readonly #child: ChildProcessWithoutNullStreams;

  /** Runs a line of the shell on it. */
  constructor(line: string, environment: Readonly<Record<string, string>>, columns: number) {
    // The shell would die of a Ctrl-C itself, and the exit code would be its own.
    const all = `trap : INT; stty cols ${columns} rows 24; ${line}`;
    this.#child = spawn('script', ['--quiet', '--return', '--command', all, '/dev/null'], {
      env: environment,
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.shown += text));
    this.#child.on('close', (code) => (this.code = code));
  }

  /** Presses these keys; Ctrl-C is `\x03`. */
  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  /** Waits until this can be read on it. */
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

  /** Hangs up. */
  close(): void {
    if (this.code === undefined) this.#child.kill('SIGHUP');
  }

  async ended(): Promise<number | null> {
    await until('the program has ended', () => this.code !== undefined, LIMIT_MS);
    return this.code ?? null;
  }

  #has(text: string | RegExp): boolean {
    return typeof text === 'string' ? this.shown.includes(text) : text.test(this.shown);
  }
}
