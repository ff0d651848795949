import { styleText } from 'node:util';
import type { WriteStream } from 'node:tty';

/** A column of a table. */
export interface Column {
  readonly name: string;
  readonly align?: 'right';
  /** The minimum width, 5 by default. A column with shorter cells is narrower. */
  readonly minWidth?: number;
}

const DEFAULT_WIDTH = 120;
const INDENT = '   ';
const GAP = '  ';
const MIN_WIDTH = 5;

/** The output of the demonstration: paragraphs and tables as wide as the terminal, and code. Its methods throw once the signal aborts. */
export class Screen {
  readonly #stream: WriteStream;
  readonly #signal: AbortSignal | undefined;
  readonly #width: number;
  readonly #hasColours: boolean;
  #step = 0;
  #checks = 0;
  #lastLine: string | undefined;

  constructor(stream: WriteStream, environment: NodeJS.ProcessEnv, signal?: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
    // Some terminals report zero columns.
    this.#width = stream.isTTY && stream.columns > 0 ? stream.columns : DEFAULT_WIDTH;
    this.#hasColours = stream.isTTY && (environment['NO_COLOR'] ?? '') === '';
  }

  /** The number of checks that have passed. */
  get checks(): number {
    return this.#checks;
  }

  /** Writes a heading. */
  heading(text: string): void {
    this.#write('', this.#styled('bold', text));
  }

  /** Writes the numbered heading of the next step. */
  step(text: string): void {
    this.#step += 1;
    this.heading(`${this.#step}  ${text}`);
  }

  /** Writes a paragraph. */
  say(text: string): void {
    this.#write(...this.#wrapped(text, INDENT));
  }

  /** Writes and counts a check that has passed. */
  check(text: string): void {
    this.#checks += 1;
    this.#write(...this.#marked('green', '✓', text));
  }

  /** Writes a failure. */
  failure(text: string): void {
    this.#write(...this.#marked('red', '✗', text));
  }

  /** Writes code unchanged and without an indent, so that a user can copy it. */
  code(text: string): void {
    this.#write('', ...text.split('\n').map((line) => this.#styled('cyan', line)), '');
  }

  /** Writes a table. Cuts cells that do not fit. */
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    const cells = rows.map((row) => row.map(printable));
    const widths = fitted(columns, cells, this.#width - INDENT.length);
    const lineOf = (row: readonly string[]): string => {
      const texts = columns.map(({ align }, at) => {
        const text = cut(row[at] ?? '', widths[at] ?? 0);
        return align === 'right' ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0);
      });
      return `${INDENT}${texts.join(GAP)}`.trimEnd();
    };
    const hasNames = columns.some(({ name }) => name !== '');
    const names = this.#styled('bold', lineOf(columns.map(({ name }) => name)));
    this.#write('', ...(hasNames ? [names] : []), ...cells.map(lineOf), '');
  }

  #marked(colour: 'green' | 'red', mark: string, text: string): string[] {
    const [first = '', ...rest] = this.#wrapped(text, `${INDENT}  `);
    return [`${INDENT}${this.#styled(colour, mark)} ${first.trimStart()}`, ...rest];
  }

  #wrapped(text: string, indent: string): string[] {
    const lines: string[] = [];
    for (const word of printable(text).split(' ')) {
      const last = lines.at(-1);
      if (last === undefined || last.length + 1 + word.length > this.#width) {
        lines.push(indent + word);
      } else {
        lines[lines.length - 1] = `${last} ${word}`;
      }
    }
    return lines;
  }

  #styled(style: 'bold' | 'cyan' | 'green' | 'red', text: string): string {
    return this.#hasColours ? styleText(style, text) : text;
  }

  #write(...lines: readonly string[]): void {
    this.#signal?.throwIfAborted();
    for (const line of lines) {
      // Two empty lines in a row become one.
      if (line !== '' || this.#lastLine !== '') this.#stream.write(`${line}\n`);
      this.#lastLine = line;
    }
  }
}

// Statements from the node may hold line breaks or escape sequences.
function printable(text: string): string {
  return text.replace(/[\p{C}\s]+/gu, ' ');
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** Returns the width of each column. Shrinks the widest columns until the table fits. */
function fitted(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): number[] {
  const widths = columns.map(({ name }, at) =>
    Math.max(name.length, ...rows.map((row) => (row[at] ?? '').length)),
  );
  const sum = (): number => widths.reduce((total, one) => total + one + GAP.length, -GAP.length);
  while (sum() > width) {
    const cuttable = widths.map((one, at) =>
      one > (columns[at]?.minWidth ?? MIN_WIDTH) ? one : 0,
    );
    const widest = Math.max(...cuttable);
    if (widest === 0) break;
    widths[cuttable.indexOf(widest)] = widest - 1;
  }
  return widths;
}
