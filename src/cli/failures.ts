import { isNativeError } from 'node:util/types';
import { SessionControlError, type ErrorKind } from '../client/index.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { visible } from './visible.ts';

/** An error of the command itself: a sentence, a hint for the next step, and the exit code. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;

  constructor(exitCode: ExitCode, message: string, hint?: string) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
  }
}

/** The error of a command that Ctrl-C stopped before it ended any session. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  override readonly message = 'Interrupted: no session was ended.';
}

/** Returns the error of a command that was used wrongly and did nothing. */
export function usageError(message: string, hint?: string): CommandError {
  return new CommandError(EXIT.usage, message, hint);
}

/** An error as one line of text, with its exit code. */
export interface Failure {
  readonly line: string;
  readonly exitCode: ExitCode;
}

const EXIT_CODES: Readonly<Record<ErrorKind, ExitCode>> = {
  unreachable: EXIT.unreachable,
  busy: EXIT.unreachable,
  denied: EXIT.denied,
  refused: EXIT.refused,
  failed: EXIT.refused,
  malformed: EXIT.refused,
};

/** Formats an error as one line: what happened, the request id, and what to do next. `credentials` says where they come from. */
export function failureOf(error: unknown, credentials?: string): Failure {
  if (error instanceof CommandError) {
    return { line: sentence([error.message, error.hint]), exitCode: error.exitCode };
  }
  if (error instanceof Interrupted) return { line: error.message, exitCode: EXIT.interrupted };
  if (error instanceof SessionControlError) {
    return {
      line: sentence([error.message, requestOf(error), nextStep(error, credentials)]),
      exitCode: EXIT_CODES[error.kind],
    };
  }
  const message = isNativeError(error) ? error.message : String(error);
  return { line: sentence([message]), exitCode: EXIT.refused };
}

function requestOf({ status, code, requestId }: SessionControlError): string | undefined {
  const parts = [
    ...(status === undefined ? [] : [`status ${status}`]),
    ...(code === undefined ? [] : [code]),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  return parts.length > 0 ? `(${parts.join(', ')})` : undefined;
}

function nextStep(
  { kind, status, code, message, retryAfterSeconds }: SessionControlError,
  credentials: string | undefined,
): string | undefined {
  if (kind === 'unreachable') return 'Check the endpoint, the network and the TLS options.';
  if (kind === 'busy') return `Try again${retryAfterSeconds ? ` in ${retryAfterSeconds} s` : ''}.`;
  if (status === 401) return `Check ${credentials ?? 'the token or the access key'}.`;
  if (status === 403) return 'Check --project, and which actions these credentials allow.';
  if (status === 400 && message.includes('X-Kill-Reason')) return 'Give a reason with --reason.';
  if (status === 404 && code !== undefined)
    return isBare(message) ? 'Check --instance and --node.' : undefined;
  if (kind === 'failed') return 'See `sessionctl capabilities`, and the log of the service.';
  return kind === 'malformed' || code === undefined ? 'Check --endpoint.' : undefined;
}

/** Returns true for a single sentence: a message with more of them says what to do. */
function isBare(message: string): boolean {
  return !message.trim().slice(0, -1).includes('. ');
}

function sentence(parts: readonly (string | undefined)[]): string {
  const text = parts.filter((part) => part !== undefined && part !== '').join(' ');
  return visible(text);
}
