/** One of the things that are compared. */
export interface Lane {
  readonly name: string;
  /** Does a few of it, and resolves to what each took. */
  readonly run: () => Promise<readonly number[]>;
}

/** What each took, by the name of the lane. */
export type Samples = ReadonlyMap<string, readonly number[]>;

/**
 * Runs the lanes by turns, A B A B, so that what else the machine does hits all of them alike.
 * The first round is a warm-up, of which nothing is kept.
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

/** The milliseconds that some work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

/** So many times one after the other; what each took. */
export async function repeat(times: number, work: () => Promise<unknown>): Promise<number[]> {
  const taken: number[] = [];
  for (let time = 0; time < times; time += 1) taken.push(await timed(work));
  return taken;
}
