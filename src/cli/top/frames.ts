import { EventEmitter } from 'node:events';
import type { Screen } from '../cli-context.ts';

/** The alternate buffer without a cursor. A line that is too wide for the terminal does not wrap. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
/** A terminal that knows these codes shows all changes of a frame at once. */
const [BEGIN, END] = ['\x1b[?2026h', '\x1b[?2026l'];

/**
 * A stand-in for standard output, to which Ink writes its frames. Draws each frame on the alternate buffer: only the lines that changed.
 * Ink's own way of drawing clears the scrollback if a frame is as tall as the screen, and draws nothing where CI is set.
 */
export class Frames extends EventEmitter {
  readonly isTTY = false;
  readonly #screen: Screen;
  #drawn: readonly string[] = [];
  #isOpen = false;

  constructor(screen: Screen) {
    super();
    this.#screen = screen;
  }

  get columns(): number {
    return this.#screen.columns() ?? 0;
  }

  /** Shows the alternate buffer. */
  enter(): void {
    this.#isOpen = true;
    this.#screen.write(ENTER);
  }

  /** Restores what the terminal showed before. Does so only once. */
  leave(): void {
    if (this.#isOpen) this.#screen.write(LEAVE);
    this.#isOpen = false;
  }

  /** Clears the screen: the next frame draws all its lines. */
  clear(): void {
    this.#drawn = [];
    if (this.#isOpen) this.#screen.write('\x1b[2J');
  }

  /** Draws a frame. */
  write(frame: string): boolean {
    if (!this.#isOpen) return true;
    const lines = frame.split('\n').slice(0, this.#screen.rows());
    const rows = Math.max(lines.length, this.#drawn.length);
    const changes = Array.from({ length: rows }, (_none, row) => {
      const line = lines[row] ?? '';
      return line === this.#drawn[row] ? '' : `\x1b[${row + 1};1H\x1b[2K${line}`;
    }).join('');
    this.#drawn = lines;
    if (changes !== '') this.#screen.write(BEGIN + changes + END);
    return true;
  }
}
