import stringWidth from 'string-width';
import { visible } from './visible.ts';

/** A column: how narrow and how wide it may be. */
export interface Column {
  readonly title: string;
  readonly least: number;
  /** How narrow it may be once all the others are as narrow as they may be. */
  readonly atWorst?: number;
  readonly most?: number;
  readonly isNumber?: boolean;
}

const GAP = 2;

/** Rows as a table that fits into so many columns, or is as wide as it has to be. Cells may hold anything: they are made visible. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
  emphasise: (title: string) => string = (title) => title,
): string {
  const cells = rows.map((row) => row.map(visible));
  const widths = fit(
    columns,
    columns.map((column, index) =>
      Math.max(stringWidth(column.title), ...cells.map((row) => stringWidth(row[index] ?? ''))),
    ),
    width,
  );
  const head = columns.map(({ title }) => title);
  return [head, ...cells]
    .map((row, index) => lineOf(columns, row, widths, index === 0 ? emphasise : undefined))
    .join('\n');
}

/** The text in at most so many columns of a terminal, with … where it was cut. */
export function cut(text: string, width: number): string {
  if (width === Infinity || stringWidth(text) <= width) return text;
  let [taken, used] = ['', 0];
  for (const character of text) {
    const wide = stringWidth(character);
    if (used + wide > width - 1) break;
    taken += character;
    used += wide;
  }
  return `${taken}…`;
}

function lineOf(
  columns: readonly Column[],
  row: readonly string[],
  widths: readonly number[],
  emphasise = (text: string) => text,
): string {
  const texts = row.map((cell, index) => {
    const width = widths[index] ?? 0;
    const text = cut(cell, width);
    const blanks = ' '.repeat(Math.max(0, width - stringWidth(text)));
    const shown = emphasise(text);
    return columns[index]?.isNumber ? blanks + shown : shown + blanks;
  });
  return texts.join(' '.repeat(GAP)).trimEnd();
}

/** Takes from the widest column until all fit, but from none more than it can spare. */
function fit(
  columns: readonly Column[],
  natural: readonly number[],
  width: number | undefined,
): number[] {
  const limits = columns.map(({ most }) => (width === undefined ? Infinity : (most ?? Infinity)));
  const widths = natural.map((wide, index) => Math.min(wide, limits[index] ?? wide));
  if (width === undefined) return widths;
  const room = width - GAP * (columns.length - 1);
  shrink(widths, room, (index) => columns[index]?.least ?? 0);
  shrink(widths, room, (index) => columns[index]?.atWorst ?? columns[index]?.least ?? 0);
  return widths;
}

function shrink(widths: number[], room: number, leastOf: (index: number) => number): void {
  for (let over = sum(widths) - room; over > 0; over -= 1) {
    const spare = widths.map((wide, index) => wide - leastOf(index));
    const widest = widths.reduce(
      (best, wide, index) =>
        (spare[index] ?? 0) > 0 && (best < 0 || wide >= (widths[best] ?? 0)) ? index : best,
      -1,
    );
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
