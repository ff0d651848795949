import stringWidth from 'string-width';
import { visible } from './visible.ts';

/** A column with the limits of its width, in terminal columns. */
export interface Column {
  readonly title: string;
  readonly minWidth: number;
  /** The minimum width once all columns have shrunk to `minWidth` and the table still does not fit. */
  readonly hardMinWidth?: number;
  readonly maxWidth?: number;
  readonly isNumber?: boolean;
}

const GAP = 2;

/** Formats rows as a table of at most `width` terminal columns, or of any width if undefined. Escapes control characters in cells. */
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

/** Cuts a text to at most `width` terminal columns; … marks the cut. */
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

/** Shrinks the widest column until the table fits, first down to `minWidth`, then down to `hardMinWidth`. */
function fit(
  columns: readonly Column[],
  natural: readonly number[],
  width: number | undefined,
): number[] {
  const limits = columns.map(({ maxWidth = Infinity }) =>
    width === undefined ? Infinity : maxWidth,
  );
  const widths = natural.map((wide, index) => Math.min(wide, limits[index] ?? wide));
  if (width === undefined) return widths;
  const room = width - GAP * (columns.length - 1);
  shrink(widths, room, (index) => columns[index]?.minWidth ?? 0);
  shrink(widths, room, (index) => columns[index]?.hardMinWidth ?? columns[index]?.minWidth ?? 0);
  return widths;
}

function shrink(widths: number[], room: number, minWidthOf: (index: number) => number): void {
  for (let over = sum(widths) - room; over > 0; over -= 1) {
    const spare = widths.map((wide, index) => wide - minWidthOf(index));
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
