import { createHash } from 'node:crypto';

/** A random generator (sfc32) with a seed: the same seed and name give the same numbers. */
export class Random {
  readonly #state: Uint32Array;

  /** Each part of the test has a generator with its own name, so that its decisions do not depend on the speed of other parts. */
  constructor(seed: number, name: string) {
    const digest = createHash('sha256').update(`${seed} ${name}`).digest();
    this.#state = Uint32Array.from([0, 4, 8, 12], (at) => digest.readUInt32LE(at));
  }

  /** Returns a number from 0 to below 1. */
  next(): number {
    const [a = 0, b = 0, c = 0, counter = 0] = this.#state;
    const sum = (a + b + counter) | 0;
    this.#state.set([b ^ (b >>> 9), c + (c << 3), ((c << 21) | (c >>> 11)) + sum, counter + 1]);
    return (sum >>> 0) / 2 ** 32;
  }

  /** Returns an integer from `low` to `high`, inclusive. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** Returns true with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** Returns one of the choices, or undefined if there are none. */
  pick<T>(choices: readonly T[]): T | undefined {
    return choices[Math.floor(this.next() * choices.length)];
  }

  /** Returns one of the names, with a probability in proportion to its weight. Throws if no weight is positive. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries<number>(weights) as [T, number][];
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    throw new Error('No name has a weight.');
  }
}
