import { Writable } from 'node:stream';
import { isNativeError } from 'node:util/types';
import winston, { type Logger } from 'winston';
import { escapeControlCharacters } from '../escape-control-characters.ts';

export type { Logger } from 'winston';

/** Where winston keeps the line (triple-beam). */
const MESSAGE = Symbol.for('message');

/** Where log lines go. */
export interface LineOutput {
  /** Takes a line, given with its end. */
  add(line: string): void;
}

/** How the service logs. */
export interface LogSettings {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  /** `text` is for people. */
  readonly format: 'json' | 'text';
}

/**
 * Makes a logger that writes one line an event, its fields beside the message.
 * ERROR: someone must act now. WARN: degraded, or recovered. INFO: one line a request, one a kill. Never a secret, never a statement.
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
      plain(),
    ),
    transports: [new winston.transports.Stream({ stream: streamTo(output), eol: '\n' })],
  });
}

/** A stream that never fills: the output has its own bound. */
function streamTo(output: LineOutput): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      output.add(line);
      done();
    },
  });
}

// winston prints of an error only its own enumerable fields: no message, no stack.
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
  return JSON.stringify(value, serializable);
}

const plain = winston.format((info) => {
  const line = info[MESSAGE];
  if (typeof line === 'string') info[MESSAGE] = escapeControlCharacters(line);
  return info;
});
