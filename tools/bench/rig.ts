import type { Build } from '../lib/build.ts';
import type { BenchNode } from './node.ts';
import type { Results } from './results.ts';

/** What all measurements work with. */
export interface Rig {
  readonly build: Build;
  readonly results: Results;
  readonly rounds: number;
  /** What is going on. */
  readonly progress: (text: string) => void;
  /** Has this done at the end of the run, if it has not been done before. Returns what does it. */
  readonly atEnd: (undo: () => unknown) => () => Promise<void>;
}

/** The same with the servers of one kind. */
export interface ServerRig extends Rig {
  /** Which server, and its version. */
  readonly name: string;
  /** A node with few sessions. */
  readonly node: BenchNode;
}

/** As many sessions as a node has that is not crowded. */
export const FEW = 100;

/** Does the work with things that end after it, or with the run. */
export async function using<T>(
  { atEnd }: Rig,
  undo: () => unknown,
  work: () => Promise<T>,
): Promise<T> {
  const end = atEnd(undo);
  try {
    return await work();
  } finally {
    await end();
  }
}
