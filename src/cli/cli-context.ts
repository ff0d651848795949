import type { ReadStream, WriteStream } from 'node:tty';
import pico from 'picocolors';

/** Standard output or standard error. */
export interface Screen {
  readonly stream: WriteStream;
  readonly isTerminal: boolean;
  readonly colors: ReturnType<typeof pico.createColors>;
  /** Whether the reader has gone: what is written then is lost, and nothing else changes. */
  isClosed(): boolean;
  /** Undefined when it is no terminal: then nothing is cut. */
  columns(): number | undefined;
  rows(): number | undefined;
  readonly write: (text: string) => void;
  readonly line: (text?: string) => void;
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
}

const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

/** A screen on this stream. Coloured on a terminal unless NO_COLOR is set. `onLost` hears of what cannot be written. */
export function createScreen(
  stream: WriteStream,
  environment: Readonly<Record<string, string | undefined>>,
  onLost: (error: Error) => void = () => undefined,
): Screen {
  // Of what is no terminal it is undefined, whatever the types say.
  const isTerminal = (stream as { readonly isTTY?: boolean }).isTTY === true;
  const isPlain = Boolean(environment['NO_COLOR']) || environment['TERM'] === 'dumb';
  let isClosed = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that has seen enough (`| head`) is no error.
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
