import type { ReadStream, WriteStream } from 'node:tty';
import pico from 'picocolors';

/** Standard output or standard error. */
export interface Screen {
  readonly stream: WriteStream;
  readonly isTerminal: boolean;
  readonly colors: ReturnType<typeof pico.createColors>;
  /** True if the reader has closed the stream. Later writes are dropped without an error. */
  isClosed(): boolean;
  /** The width in columns, or undefined if the stream is no terminal. */
  columns(): number | undefined;
  /** The height in rows, or undefined if the stream is no terminal. */
  rows(): number | undefined;
  readonly write: (text: string) => void;
  readonly line: (text?: string) => void;
  /** Shows the progress of the work in a place of its own; undefined if there is none. */
  readonly showProgress?: (text: string) => void;
}

/** The environment, streams and interrupt signal of one command. */
export interface CliContext {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly homeFolder: string;
  readonly input: ReadStream;
  readonly output: Screen;
  readonly messages: Screen;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** True if nobody may be asked: a command for the credentials gets no terminal, and no request is sent twice. */
  readonly isUnattended?: boolean;
  /** Where the credentials of the command come from, for error messages. Set once they are read. */
  credentialSource?: string;
}

const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

/** Returns a screen on a stream, coloured on a terminal unless NO_COLOR is set. Calls `onLost` once if a write fails. */
export function createScreen(
  stream: WriteStream,
  environment: Readonly<Record<string, string | undefined>>,
  onLost: (error: Error) => void = () => undefined,
): Screen {
  // Node leaves isTTY undefined on a stream that is no terminal; its type says boolean.
  const isTerminal = (stream as { readonly isTTY?: boolean }).isTTY === true;
  const isPlain = Boolean(environment['NO_COLOR']) || environment['TERM'] === 'dumb';
  let isClosed = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // EPIPE is no failure: a reader such as `head` closes the pipe early.
    if (!isClosed && error.code !== 'EPIPE') onLost(error);
    isClosed = true;
  });
  const write = (text: string): void => {
    if (!isClosed) stream.write(text);
  };
  return {
    stream,
    isTerminal,
    colors: pico.createColors(isTerminal && !isPlain),
    isClosed: () => isClosed,
    columns: () => (isTerminal ? stream.columns || DEFAULT_COLUMNS : undefined),
    rows: () => (isTerminal ? stream.rows || DEFAULT_ROWS : undefined),
    write,
    line: (text = '') => {
      write(`${text}\n`);
    },
  };
}
