import { setTimeout as sleep } from 'node:timers/promises';

import type { Screen } from './screen.ts';
import { complaint } from '../server-binaries.ts';

/** Undoes one thing, also if it was done by half or not at all; resolves with what to say of it, if anything. */
export type Undo = () => Promise<string | undefined>;

const DEADLINE_MS = 20_000;

/** What has to be undone at the end, in whatever way the end comes. */
export class Cleanup {
  readonly #undos: { readonly what: string; readonly undo: Undo }[] = [];
  #hasBegun = false;

  /** To be called before the thing is done, so that nothing can come in between. Throws when it is too late to begin anything. */
  add(what: string, undo: Undo): void {
    if (this.#hasBegun) throw new Error('The demonstration has ended.');
    this.#undos.push({ what, undo });
  }

  /** Undoes everything, the last thing first, and says so. Resolves with whether all of it worked; never rejects. */
  async run(screen: Screen): Promise<boolean> {
    this.#hasBegun = true;
    let worked = true;
    for (const { what, undo } of this.#undos.reverse()) {
      try {
        const done = await Promise.race([undo(), tooLate()]);
        if (done !== undefined) screen.check(done);
      } catch (error) {
        worked = false;
        screen.failure(`Not cleaned up: ${what}. ${complaint(error)}`);
      }
    }
    return worked;
  }
}

async function tooLate(): Promise<never> {
  await sleep(DEADLINE_MS, undefined, { ref: false });
  throw new Error(`That took more than ${DEADLINE_MS / 1000} s.`);
}
