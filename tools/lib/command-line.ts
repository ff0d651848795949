import { constants } from 'node:os';
import { complaint } from '../server-binaries.ts';

/** What sysexits.h calls EX_USAGE. */
const EXIT_USAGE = 64;

/** Returns what `read` makes of the arguments. Writes the usage and returns the exit code if they are wrong, or ask for help (undefined). */
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

/** Resolves to the exit code at the first signal to end, after a call of `onSignal`. Such a signal no longer ends the process by itself. */
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
