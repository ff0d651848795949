/** One of the alternatives that a measurement compares. */
export interface Lane {
  readonly name: string;
  /** Measures a few samples. */
  readonly run: () => Promise<readonly number[]>;
}

/** The samples by the name of the lane. */
export type Samples = ReadonlyMap<string, readonly number[]>;

/**
 * Runs the lanes in turns, A B A B, so that other load on the machine affects all of them alike.
 * The first round is a warm-up whose samples are dropped.
 */
export async function interleave(
  lanes: readonly Lane[],
  rounds: number,
  onRound: (round: number) => void = () => undefined,
): Promise<Samples> {
  const samples = new Map<string, number[]>(lanes.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    onRound(round);
    for (const { name, run } of lanes) {
      const taken = await run();
      if (round > 0) samples.get(name)?.push(...taken);
    }
  }
  return samples;
}

/** Runs the work and resolves to its time in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

/**
 * Runs the work `times` times, one after the other, each time after `before`. Resolves to the time of each run in milliseconds, without the
 * time of `before`.
 */
export async function repeat(
  times: number,
  work: () => Promise<unknown>,
  before: () => Promise<unknown> = () => Promise.resolve(),
): Promise<number[]> {
  const taken: number[] = [];
  for (let time = 0; time < times; time += 1) {
    await before();
    taken.push(await timed(work));
  }
  return taken;
}
