import type { LockOwners, OwnerKind } from './lock-owners.ts';
import { compareOwners, waitsIn, type LockWait } from './lock-waits.ts';
import type { LockOwner, LockReading } from './locks.ts';
import { WaitGraph } from './wait-graph.ts';

/**
 * The graph of lock waits. The lock reading and the process list can differ in time. An owner is no root if it waits for a holder that
 * neither of them shows.
 */
export class LockGraph {
  /** The waits of user sessions, by ascending id, then by kind. */
  readonly waits: readonly LockWait[];
  readonly #owners: LockOwners;
  readonly #graph = new WaitGraph();
  readonly #vertexOf = new Map<LockOwner, number>();
  readonly #ownerOf = new Map<number, LockOwner>();
  /** The vertices of the roots. */
  readonly #roots = new Set<number>();
  readonly #counts: readonly number[];
  /** The number of user sessions that wait for a set of holders, by the vertex of the set. */
  readonly #countOfSet = new Map<number, number>();

  constructor(reading: LockReading, owners: LockOwners) {
    this.#owners = owners;
    const all = waitsIn(reading, (owner) => owners.secondsOf(owner));
    const waits = all.filter(({ waiter }) => isShownWaiting(owners.kindOf(waiter)));
    this.waits = waits
      .filter(({ waiter }) => this.#isCounted(waiter))
      .sort((one, other) => compareOwners(one.waiter, other.waiter) || compareRequests(one, other));
    this.#addWaits(waits);
    const components = this.#graph.components();
    this.#findRoots(components, this.#waitersForUnknown(waits));
    this.#counts = this.#graph.countWaiters(components, (vertex) => {
      const owner = this.#ownerOf.get(vertex);
      return owner !== undefined && this.#isCounted(owner);
    });
  }

  /** Returns the owners that user sessions wait for. Leaves out owners of kind `unknown`. */
  blockers(): LockOwner[] {
    return [...this.#ownerOf.values()].filter(
      (owner) => this.waitersOf(owner) > 0 && this.#owners.kindOf(owner) !== 'unknown',
    );
  }

  /** Returns true if the owner waits for no other owner, or only for members of its own cycle. */
  isRoot(owner: LockOwner): boolean {
    return this.#roots.has(this.#vertexOf.get(owner) ?? -1);
  }

  /** Returns the number of user sessions that wait for the owner, directly or not. */
  waitersOf(owner: LockOwner): number {
    return this.#counts[this.#vertexOf.get(owner) ?? -1] ?? 0;
  }

  /** Returns the number of user sessions that wait for the owner directly. */
  directWaitersOf(owner: LockOwner): number {
    const sets = this.#graph.waiters[this.#vertexOf.get(owner) ?? -1] ?? [];
    const [first = -1] = sets;
    // Thousands of holders can share one set of thousands of waiters.
    if (sets.length === 1) {
      const known = this.#countOfSet.get(first) ?? this.#countWaitersOf(sets);
      this.#countOfSet.set(first, known);
      return known;
    }
    return this.#countWaitersOf(sets);
  }

  #countWaitersOf(sets: readonly number[]): number {
    const direct = new Set(sets.flatMap((set) => this.#graph.waiters[set] ?? []));
    let count = 0;
    for (const vertex of direct) if (this.#isCounted(this.#ownerOf.get(vertex))) count += 1;
    return count;
  }

  /**
   * Returns the roots at the ends of a waiter's chains. For a waiter in a cycle of roots, returns the owners that it waits for directly.
   */
  rootsOf({ waiter, holders }: LockWait): LockOwner[] {
    if (this.isRoot(waiter)) return holders.flatMap((owners) => [...owners]);
    const reachable = this.#graph.reachableFrom(this.#vertexOf.get(waiter) ?? -1);
    return [...reachable].flatMap((vertex) =>
      this.#roots.has(vertex) ? (this.#ownerOf.get(vertex) ?? []) : [],
    );
  }

  #isCounted(owner: LockOwner | undefined): boolean {
    return owner !== undefined && this.#owners.kindOf(owner) === 'client';
  }

  // Requests for one lock share sets of holders. With a vertex for each set, the edges do not multiply.
  #addWaits(waits: readonly LockWait[]): void {
    const vertexOfSet = new Map<ReadonlySet<LockOwner>, number>();
    for (const { waiter, holders } of waits) {
      for (const owners of holders) {
        let set = vertexOfSet.get(owners);
        if (set === undefined) {
          set = this.#graph.add();
          vertexOfSet.set(owners, set);
          for (const owner of owners) this.#graph.addWait(set, this.#vertex(owner));
        }
        this.#graph.addWait(this.#vertex(waiter), set);
      }
    }
  }

  #vertex(owner: LockOwner): number {
    const there = this.#vertexOf.get(owner);
    if (there !== undefined) return there;
    const vertex = this.#graph.add();
    this.#vertexOf.set(owner, vertex);
    this.#ownerOf.set(vertex, owner);
    return vertex;
  }

  /** Returns the vertices of owners that wait for a holder that is not shown, and of owners of kind `unknown`. */
  #waitersForUnknown(waits: readonly LockWait[]): ReadonlySet<number> {
    const [inRow, elsewhere] = [new Set<LockOwner>(), new Set<LockOwner>()];
    const found = new Set<number>();
    for (const { waiter, kind, holders } of waits) {
      (kind === 'row' ? inRow : elsewhere).add(waiter);
      if (holders.length === 0) found.add(this.#vertex(waiter));
    }
    for (const [owner, vertex] of this.#vertexOf) {
      const isUnknown =
        this.#owners.kindOf(owner) === 'unknown' ||
        (this.#owners.waitsForRow(owner) && !inRow.has(owner)) ||
        (this.#owners.looksWaiting(owner) && !elsewhere.has(owner));
      if (isUnknown) found.add(vertex);
    }
    return found;
  }

  #findRoots(
    components: readonly (readonly number[])[],
    waitForUnknown: ReadonlySet<number>,
  ): void {
    for (const members of components) {
      const inside = new Set(members);
      const isRoot = members.every(
        (member) =>
          !waitForUnknown.has(member) &&
          (this.#graph.holders[member] ?? []).every((holder) => inside.has(holder)),
      );
      if (isRoot) for (const member of members) this.#roots.add(member);
    }
  }
}

/** Returns false for an owner whose wait is over by now: it is no longer listed. */
function isShownWaiting(kind: OwnerKind): boolean {
  return kind === 'client' || kind === 'internal';
}

function compareRequests(one: LockWait, other: LockWait): number {
  const [text, otherText] = [textOf(one), textOf(other)];
  return text < otherText ? -1 : Number(text > otherText);
}

function textOf({ kind, lock }: LockWait): string {
  const name = 'name' in lock ? lock.name : lock.table;
  return JSON.stringify([kind, lock.db, name, lock.mode]);
}
