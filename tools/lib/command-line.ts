import { constants } from 'node:os';

/** Resolves to the exit code when the process is told to end, and calls `told` then: from now on that does not end it by itself. */
export function onceSignalled(told: () => void = () => undefined): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        told();
        resolve(128 + constants.signals[signal]);
      });
    }
  });
}
