import type { Blocker, Blockers, Wait } from '../client/index.ts';

/** A waiter of a blocker, with the waiters behind it. */
export interface Waiter {
  readonly wait: Wait;
  readonly waiters: readonly Waiter[];
  /** True if the tree shows its waiters in another place. */
  readonly isRepeated: boolean;
}

/** A root blocker with the tree of its waiters. */
export interface LockTree {
  readonly root: Blocker;
  readonly waiters: readonly Waiter[];
}

/** Returns the roots, each with the tree of its waiters. A waiter of several sessions has its own waiters below only one of them. */
export function lockTrees(report: Blockers): readonly LockTree[] {
  const waitsByHolder = new Map<bigint | undefined, Wait[]>();
  for (const wait of report.waits) {
    const others = waitsByHolder.get(wait.waitsFor);
    if (others === undefined) waitsByHolder.set(wait.waitsFor, [wait]);
    else others.push(wait);
  }
  const shown = new Set<bigint>();
  const below = (id: bigint | undefined): readonly Waiter[] =>
    (waitsByHolder.get(id) ?? []).map((wait) => {
      const isRepeated = shown.has(wait.id);
      shown.add(wait.id);
      return { wait, isRepeated, waiters: isRepeated ? [] : below(wait.id) };
    });
  const roots = report.blockers.filter(({ isRoot }) => isRoot);
  // With several blockers without an id, a wait does not show which of them it is for.
  const nameless = roots.filter(({ id }) => id === undefined).length;
  return roots.map((root) => {
    if (root.id !== undefined) shown.add(root.id);
    return { root, waiters: root.id === undefined && nameless > 1 ? [] : below(root.id) };
  });
}

/** Returns the root blockers at the end of all chains that begin at a waiter. In a cycle, these are the sessions of the cycle. */
export function rootsOf({ blockers, waits }: Blockers, waiter: bigint): readonly Blocker[] {
  const reached = new Set<bigint | undefined>();
  const follow = (id: bigint | undefined): void => {
    for (const { waitsFor } of waits.filter((wait) => wait.id === id)) {
      if (reached.has(waitsFor)) continue;
      reached.add(waitsFor);
      if (waitsFor !== undefined) follow(waitsFor);
    }
  };
  follow(waiter);
  return blockers.filter(({ id, isRoot }) => isRoot && id !== waiter && reached.has(id));
}
