import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import headless from '@xterm/headless';
import type { Terminal } from '../../tools/terminal.ts';
import type { Sessionctl } from '../support/sessionctl.ts';
import { until } from '../support/until.ts';

/** A program that draws on the whole terminal, and the screen as a person sees it. */
export class FullScreen {
  /** The pseudo-terminal, with all bytes that the program wrote. */
  readonly terminal: Terminal;
  readonly #view: headless.Terminal;
  readonly #folder: string;
  #drawn = 0;

  /** Runs a shell line on a terminal of this size. */
  constructor(
    sessionctl: Sessionctl,
    line: string,
    environment: Readonly<Record<string, string>>,
    [columns, rows]: readonly [number, number] = [80, 24],
  ) {
    this.#folder = sessionctl.folder;
    this.#view = new headless.Terminal({ cols: columns, rows, allowProposedApi: true });
    const all = `cd ${sessionctl.folder}; tty > tty; ${line}`;
    this.terminal = sessionctl.open(all, environment, columns, rows);
  }

  /** Returns the rows of the screen without the blanks at their ends. */
  async rows(): Promise<readonly string[]> {
    const { shown } = this.terminal;
    const fresh = shown.slice(this.#drawn);
    this.#drawn = shown.length;
    await new Promise<void>((done) => {
      this.#view.write(fresh, done);
    });
    const { active } = this.#view.buffer;
    return Array.from({ length: this.#view.rows }, (_none, row) =>
      (active.getLine(active.viewportY + row)?.translateToString(true) ?? '').trimEnd(),
    );
  }

  /** True while the terminal shows the alternate buffer. */
  async isAlternate(): Promise<boolean> {
    await this.rows();
    return this.#view.buffer.active.type === 'alternate';
  }

  /** Waits until the screen matches. Resolves to its rows. */
  async shows(text: string | RegExp): Promise<readonly string[]> {
    return this.showsRows(String(text), (rows) => {
      const all = rows.join('\n');
      return typeof text === 'string' ? all.includes(text) : text.test(all);
    });
  }

  /** Waits until the rows of the screen pass. Resolves to the rows. */
  async showsRows(
    what: string,
    pass: (rows: readonly string[]) => boolean,
  ): Promise<readonly string[]> {
    let rows: readonly string[] = [];
    const isShown = async (): Promise<boolean> => {
      rows = await this.rows();
      if (!pass(rows) && this.terminal.code !== undefined) {
        throw new Error(`It ended with ${this.terminal.code}:\n${rows.join('\n')}`);
      }
      return pass(rows);
    };
    await until(`the screen shows ${what}`, isShown, 30_000, 50).catch((cause: unknown) => {
      throw new Error(`The screen does not show ${what}:\n${rows.join('\n')}`, { cause });
    });
    return rows;
  }

  /** Types these keys. */
  type(keys: string): void {
    this.terminal.type(keys);
  }

  /** Writes a text over the first rows of the screen, as another program would. */
  async spoil(text: string): Promise<void> {
    await this.rows();
    await new Promise<void>((done) => {
      this.#view.write(`\x1b[H${text}\r\n${text}`, done);
    });
  }

  /** Resizes the terminal. */
  async resize(columns: number, rows: number): Promise<void> {
    await this.rows();
    this.#view.resize(columns, rows);
    const device = readFileSync(join(this.#folder, 'tty'), 'utf8').trim();
    execFileSync('stty', ['-F', device, 'cols', String(columns), 'rows', String(rows)]);
  }

  /** Resolves to the exit code when the program has ended. */
  ended(): Promise<number | null> {
    return this.terminal.ended();
  }
}
