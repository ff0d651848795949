import { closeSync, openSync } from 'node:fs';
import { ReadStream, WriteStream } from 'node:tty';
import confirm from '@inquirer/confirm';
import password from '@inquirer/password';
import { Interrupted, usageError } from './failures.ts';
import type { CliContext } from './cli-context.ts';

/**
 * Asks a question about the text that the user was shown; the default answer is no. Asks on /dev/tty if standard input is no terminal.
 * Throws a usage error if there is no terminal, and `Interrupted` after Ctrl-C.
 */
export async function confirmOnTerminal(
  message: string,
  shown: string,
  cli: CliContext,
): Promise<boolean> {
  return onTerminal(cli, 'Use --yes to skip the question.', (context) => {
    // Standard error may go to a file, and the user must see what the question is about.
    if (!cli.messages.isTerminal) context.output.write(`${shown}\n`);
    return confirm({ message, default: false }, context);
  });
}

/** Asks for a password without showing it. Throws like `confirmOnTerminal`. */
export async function askPassword(message: string, cli: CliContext): Promise<string> {
  return onTerminal(cli, 'Set SESSIONCTL_PASSWORD.', (context) =>
    password({ message, mask: false }, context),
  );
}

interface PromptContext {
  readonly input: ReadStream;
  readonly output: WriteStream;
  readonly signal: AbortSignal;
}

async function onTerminal<T>(
  { input, messages, signal }: CliContext,
  hint: string,
  ask: (context: PromptContext) => Promise<T>,
): Promise<T> {
  if (input.isTTY && messages.isTerminal) {
    try {
      return await ask({ input, output: messages.stream, signal });
    } catch (error) {
      throw interrupted(error, signal);
    }
  }
  const terminal = openTerminal(hint);
  try {
    return await ask({ ...terminal, signal });
  } catch (error) {
    throw interrupted(error, signal);
  } finally {
    terminal.input.destroy();
    terminal.output.destroy();
  }
}

function openTerminal(hint: string): { readonly input: ReadStream; readonly output: WriteStream } {
  let descriptor: number | undefined;
  try {
    descriptor = openSync('/dev/tty', 'r+');
    return {
      input: new ReadStream(descriptor),
      output: new WriteStream(openSync('/dev/tty', 'r+')),
    };
  } catch {
    if (descriptor !== undefined) closeSync(descriptor);
    throw usageError('There is no terminal to ask on.', hint);
  }
}

// The prompt reads Ctrl-C as a key, so the process gets no signal.
function interrupted(error: unknown, signal: AbortSignal): unknown {
  const name = typeof error === 'object' && error !== null && 'name' in error ? error.name : '';
  if (signal.aborted || name === 'ExitPromptError' || name === 'AbortPromptError') {
    return new Interrupted();
  }
  return error;
}
