import { closeSync, openSync } from 'node:fs';
import { ReadStream, WriteStream } from 'node:tty';
import confirm from '@inquirer/confirm';
import password from '@inquirer/password';
import { Interrupted, usageError } from './failures.ts';
import type { CliContext } from './cli-context.ts';

/**
 * Asks about what was shown, on the terminal, which is /dev/tty when standard input is something else. The answer is no unless it is said otherwise.
 * Throws a usage error when there is no terminal; rejects with the signal's reason after Ctrl-C.
 */
export async function askWhether(
  message: string,
  shown: string,
  cli: CliContext,
): Promise<boolean> {
  return onTerminal(cli, 'Say --yes to go without the question.', (context) => {
    // Who answers must have seen it, wherever standard error goes.
    if (!cli.messages.isTerminal) context.output.write(`${shown}\n`);
    return confirm({ message, default: false }, context);
  });
}

/** Asks for a password, which is not shown. */
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

// Ctrl-C at the question reaches the prompt as a key, not the process as a signal.
function interrupted(error: unknown, signal: AbortSignal): unknown {
  const name = typeof error === 'object' && error !== null && 'name' in error ? error.name : '';
  if (signal.aborted || name === 'ExitPromptError' || name === 'AbortPromptError') {
    return new Interrupted();
  }
  return error;
}
