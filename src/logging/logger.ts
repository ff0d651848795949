import { Writable } from 'node:stream';
import { isNativeError } from 'node:util/types';
import winston, { type Logger } from 'winston';
import { escapeControlCharacters } from '../escape-control-characters.ts';

export type { Logger } from 'winston';

/** The property in which winston keeps the finished line (triple-beam). */
const MESSAGE = Symbol.for('message');

/** The destination of log lines. */
export interface LineOutput {
  /** Queues a line, which ends in a line break. */
  add(line: string): void;
}

/** The settings of the log. */
export interface LogSettings {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  /** `json` for programs, `text` for people. */
  readonly format: 'json' | 'text';
}

/**
 * Creates a logger that writes one line for each event: its message and its fields. No line may hold a secret or a statement.
 * ERROR: someone must act now. WARN: something is degraded or has recovered. INFO: one line for each request and each KILL.
 */
export function createLogger({ level, format }: LogSettings, output: LineOutput): Logger {
  const { combine, timestamp, json, printf } = winston.format;
  const text = printf(({ timestamp: at, level: severity, message, ...fields }) => {
    const rest = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${textOf(value)}`);
    return [String(at), severity.toUpperCase(), String(message), ...rest].join(' ');
  });
  return winston.createLogger({
    level,
    format: combine(
      timestamp(),
      format === 'json' ? json({ replacer: serializable, deterministic: false }) : text,
      escapeLine(),
    ),
    transports: [new winston.transports.Stream({ stream: streamTo(output), eol: '\n' })],
  });
}

/** Returns a stream without back pressure: the output has a limit of its own. */
function streamTo(output: LineOutput): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      output.add(line);
      done();
    },
  });
}

// winston prints only the enumerable fields of an error, without its message and stack.
function serializable(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (!isNativeError(value)) return value;
  return {
    name: value.name,
    message: value.message,
    ...('code' in value && { code: value.code }),
    stack: value.stack,
    ...(value.cause !== undefined && { cause: value.cause }),
  };
}

function textOf(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string' && /^[!#-<>-~]+$/.test(value)) return value;
  return JSON.stringify(sentenceOf(value) ?? value, serializable);
}

/** Returns the messages of an error and its causes; undefined if one is a fault of the program, whose stack is needed. */
function sentenceOf(value: unknown): string | undefined {
  if (!isNativeError(value) || !('code' in value)) return undefined;
  if (value.code === 'internal' || /^(Type|Range|Reference|Syntax)Error$/.test(value.name)) {
    return undefined;
  }
  const own = value.message || String(value.code);
  if (value.cause === undefined) return own;
  const cause = sentenceOf(value.cause);
  return cause && `${own} (${cause})`;
}

const escapeLine = winston.format((info) => {
  const line = info[MESSAGE];
  if (typeof line === 'string') info[MESSAGE] = escapeControlCharacters(line);
  return info;
});
