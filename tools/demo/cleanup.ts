import { setTimeout as sleep } from 'node:timers/promises';

import type { Screen } from './screen.ts';
import { complaint } from '../server-binaries.ts';

/** Undoes one step, even if that step failed or never ran. Resolves to a sentence to show, or undefined. */
export type Undo = () => Promise<string | undefined>;

const DEADLINE_MS = 20_000;

/** The steps to undo at the end of the demonstration, even after an error or a signal. */
export class Cleanup {
  readonly #undos: { readonly what: string; readonly undo: Undo }[] = [];
  #hasBegun = false;

  /** Adds a step to undo. Call this before the step, so that a signal cannot come between. Throws after `run` has begun. */
  add(what: string, undo: Undo): void {
    if (this.#hasBegun) throw new Error('The demonstration has ended.');
    this.#undos.push({ what, undo });
  }

  /** Undoes all steps in reverse order and shows the results. Resolves to true if all of them worked. Never rejects. */
  async run(screen: Screen): Promise<boolean> {
    this.#hasBegun = true;
    let worked = true;
    for (const { what, undo } of this.#undos.reverse()) {
      try {
        const done = await Promise.race([undo(), tooLate()]);
        if (done !== undefined) screen.check(done);
      } catch (error) {
        worked = false;
        screen.failure(`Could not clean up ${what}. ${complaint(error)}`);
      }
    }
    return worked;
  }
}

async function tooLate(): Promise<never> {
  await sleep(DEADLINE_MS, undefined, { ref: false });
  throw new Error(`The cleanup took more than ${DEADLINE_MS / 1000} s.`);
}
