import { setTimeout as sleep } from 'node:timers/promises';

const DEADLINE_MS = 10_000;

/** Something that the demonstration was to show, and that is not so; its message is for the viewer. */
export class Failure extends Error {}

/** Waits for a fact, 10 seconds unless told; throws the complaint as a `Failure` when it does not come about. */
export async function until(
  complaint: string | (() => string),
  fact: () => boolean | Promise<boolean>,
  withinMs = DEADLINE_MS,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await fact())) {
    if (performance.now() > end) {
      const text = typeof complaint === 'string' ? complaint : complaint();
      throw new Failure(`After ${withinMs / 1000} s of waiting: ${text}.`);
    }
    await sleep(20);
  }
}

/** Throws the complaint as a `Failure` unless the fact holds. */
export function insist(fact: boolean, complaint: string): asserts fact {
  if (!fact) throw new Failure(`${complaint}.`);
}
