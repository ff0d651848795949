import type { Build } from '../lib/build.ts';
import type { BenchNode } from './node.ts';
import type { Results } from './results.ts';

/** The parts that all measurements use. */
export interface Rig {
  readonly build: Build;
  readonly results: Results;
  readonly rounds: number;
  /** Prints the current step. */
  readonly progress: (text: string) => void;
  /** Adds a cleanup step for the end of the run. Returns a function that runs the step earlier; it runs only once. */
  readonly atEnd: (undo: () => unknown) => () => Promise<void>;
}

/** The parts of the measurements on one kind of server. */
export interface ServerRig extends Rig {
  /** The server and its version. */
  readonly name: string;
  /** A node with few sessions. */
  readonly node: BenchNode;
}

/** The number of sessions on a quiet node. */
export const FEW = 100;

/** Runs the work, then the cleanup step. The step also runs if the run ends earlier. */
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
