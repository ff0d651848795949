import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves once the fact holds. Rejects with the name of the fact if that takes more than `withinMs` milliseconds. */
export async function until(
  name: string | (() => string),
  fact: () => boolean | Promise<boolean>,
  withinMs = 60_000,
  everyMs = 10,
): Promise<void> {
  const end = performance.now() + withinMs;
  do {
    if (performance.now() > end) {
      throw new Error(`Not within ${withinMs} ms: ${typeof name === 'string' ? name : name()}`);
    }
    await sleep(everyMs);
  } while (!(await fact()));
}
