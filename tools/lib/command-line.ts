import { constants } from 'node:os';
import { complaint } from '../server-binaries.ts';

/** EX_USAGE of sysexits.h. */
const EXIT_USAGE = 64;

/**
 * Returns the settings that `read` returns. If it throws, writes the error and the usage and returns exit code 64.
 * If it returns undefined, because the user wants help, writes the usage and returns 0.
 */
export function readCommandLine<T extends object>(
  usage: string,
  read: () => T | undefined,
): T | number {
  try {
    const settings = read();
    if (settings === undefined) process.stdout.write(usage);
    return settings ?? 0;
  } catch (error) {
    process.stderr.write(`${complaint(error)}\n\n${usage}`);
    return EXIT_USAGE;
  }
}

/**
 * Resolves to the exit code at the first SIGINT, SIGTERM or SIGHUP, and calls `onSignal` at each of them.
 * These signals no longer end the process by themselves.
 */
export function onceSignalled(onSignal: () => void = () => undefined): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        onSignal();
        resolve(128 + constants.signals[signal]);
      });
    }
  });
}
