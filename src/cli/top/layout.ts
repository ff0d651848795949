import stringWidth from 'string-width';
import type { TopState } from './state.ts';

/** A line of the screen. */
export interface Line {
  readonly text: string;
  readonly tone?: 'cursor' | 'title' | 'warning' | 'failure' | 'quiet';
}

/** The rows besides those of the list: four above, one with the titles of its columns, and one below. */
const OTHER_ROWS = 6;

/** Returns the number of rows that the list, or a page, can use. */
export function bodyRows({ rows }: TopState): number {
  return Math.max(1, rows - OTHER_ROWS);
}

/** Returns the first row of the screenful that holds a row. A screenful stays until the cursor leaves it. */
export function windowStart(position: number, count: number, height: number): number {
  const inside = Math.min(position, Math.max(0, count - 1));
  return Math.floor(inside / height) * height;
}

/** Fills a text with blanks up to a width. */
export function padded(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - stringWidth(text)));
}

/** Breaks a text into lines, at blanks if there are any. */
export function wrapped(text: string, width: number): readonly string[] {
  // Measuring is slow, and a statement can have a million characters.
  const widthOf = /^[\x20-\x7e]*$/.test(text) ? (part: string) => part.length : stringWidth;
  const lines: string[] = [];
  let [line, used, blank] = ['', 0, -1];
  for (const character of text) {
    if (used + widthOf(character) > width) {
      const end = blank > 0 ? blank : line.length;
      lines.push(line.slice(0, end));
      line = line.slice(blank > 0 ? blank + 1 : end);
      [used, blank] = [widthOf(line), -1];
    }
    if (character === ' ') blank = line.length;
    line += character;
    used += widthOf(character);
  }
  return [...lines, line];
}
