import { setInterval } from 'node:timers/promises';

/** Resolves as soon as the fact holds; rejects with its name when it does not within `withinMs`. */
export async function until(
  name: string,
  fact: () => boolean | Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  for await (const now of setInterval(10, () => performance.now())) {
    if (await fact()) return;
    if (now() > end) throw new Error(`Not within ${withinMs} ms: ${name}`);
  }
}
