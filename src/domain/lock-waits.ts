import type { LockOwner, LockReading, MetadataLock, RowLock, RowWait } from './locks.ts';
import { conflictsOf, RAISED_MODES } from './metadata-lock-modes.ts';

/** A request for a lock, and the owners that it waits for. Equal owners are one object. */
export interface LockWait {
  readonly waiter: LockOwner;
  readonly kind: 'row' | 'metadata' | 'user';
  /** Sets of owners; no set contains the waiter. Requests for the same lock share sets. Empty if no holder is known. */
  readonly holders: readonly ReadonlySet<LockOwner>[];
  /** The requested lock. */
  readonly lock: RowLock | MetadataLock;
}

/** Returns the time that an owner has waited, in seconds. */
type SecondsOf = (owner: LockOwner) => number;

/** Returns all waits of a reading. The result does not depend on the order of its rows. */
export function waitsIn(reading: LockReading, secondsOf: SecondsOf): LockWait[] {
  const unique = uniqueOwners();
  const rows = reading.rowWaits.map((row) => ({ ...row, holder: unique(row.holder) }));
  const locks = reading.metadataLocks.map((lock) => ({ ...lock, owner: unique(lock.owner) }));
  const waiterOf = ({ waiter: id }: RowWait): LockOwner => unique({ kind: 'session', id });
  const byWaiter = groupBy(rows, waiterOf);
  const byObject = groupBy(locks, ({ type, db, name }) => JSON.stringify([type, db, name]));
  return [
    ...[...byWaiter].map(([waiter, pairs]) => rowWaitOf(waiter, pairs, byWaiter)),
    ...[...byObject.values()].flatMap((ofObject) => waitsForObject(ofObject, secondsOf)),
  ];
}

/** A waiter waits for each owner of a conflicting lock; if none is known, for the nearest request ahead. */
function rowWaitOf(
  waiter: LockOwner,
  pairs: readonly [RowWait, ...RowWait[]],
  byWaiter: ReadonlyMap<LockOwner, readonly RowWait[]>,
): LockWait {
  const [first] = pairs;
  const others = pairs.filter(({ holder }) => holder !== waiter);
  const granted = others.filter(({ isGranted }) => isGranted).map(({ holder }) => holder);
  // Each request waits for all ahead of it, so the last of these waits for the most.
  const queued = (owner: LockOwner): number => byWaiter.get(owner)?.length ?? 0;
  const [nearest] = others
    .map(({ holder }) => holder)
    .sort((one, other) => queued(other) - queued(one) || compareOwners(one, other));
  const holders = new Set(granted.length > 0 || nearest === undefined ? granted : [nearest]);
  return { waiter, kind: 'row', holders: holders.size > 0 ? [holders] : [], lock: first.lock };
}

/**
 * A request waits for each owner of a conflicting lock. If none is listed, it waits for the nearest conflicting request. If there is none
 * either, it waits for the owners of locks that may have been raised.
 */
function waitsForObject(locks: readonly MetadataLock[], secondsOf: SecondsOf): LockWait[] {
  const pending = locks.filter(({ isGranted }) => !isGranted);
  if (pending.length === 0) return [];
  const held = ownersByMode(locks.filter(({ isGranted }) => isGranted));
  const requested = ownersByMode(pending);
  const kind = locks[0]?.type === 'USER LEVEL LOCK' ? 'user' : 'metadata';
  return pending.map((lock): LockWait => {
    const { owner: waiter, mode } = lock;
    const conflicts = conflictsOf(mode);
    const wait = { waiter, kind, lock } as const;
    const holders = othersIn(held, conflicts.granted, waiter);
    if (holders.length > 0) return { ...wait, holders };
    const ahead = othersIn(requested, conflicts.pending, waiter).flatMap((owners) => [...owners]);
    const nearest = nearestTo(waiter, ahead, secondsOf);
    if (nearest !== undefined) return { ...wait, holders: [new Set([nearest])] };
    return { ...wait, holders: othersIn(held, RAISED_MODES, waiter) };
  });
}

/**
 * Returns the owner whose wait began last before the wait of the waiter. If no owner has waited as long, returns the first by
 * `compareOwners`.
 */
function nearestTo(
  waiter: LockOwner,
  ahead: readonly LockOwner[],
  secondsOf: SecondsOf,
): LockOwner | undefined {
  const waited = secondsOf(waiter);
  const distance = (owner: LockOwner): number => {
    const seconds = secondsOf(owner);
    return seconds >= waited ? seconds - waited : Infinity;
  };
  let nearest: LockOwner | undefined;
  for (const owner of ahead) {
    const order = nearest === undefined ? -1 : distance(owner) - distance(nearest);
    // Infinity minus Infinity is NaN, and two such distances count as equal.
    if (order < 0 || (!(order > 0) && nearest && compareOwners(owner, nearest) < 0))
      nearest = owner;
  }
  return nearest;
}

function othersIn(
  byMode: ReadonlyMap<string, ReadonlySet<LockOwner>>,
  modes: readonly string[],
  waiter: LockOwner,
): ReadonlySet<LockOwner>[] {
  return modes
    .map((mode) => byMode.get(mode) ?? new Set<LockOwner>())
    .map((owners) => (owners.has(waiter) ? without(owners, waiter) : owners))
    .filter(({ size }) => size > 0);
}

function without(owners: ReadonlySet<LockOwner>, owner: LockOwner): ReadonlySet<LockOwner> {
  const others = new Set(owners);
  others.delete(owner);
  return others;
}

function ownersByMode(locks: readonly MetadataLock[]): Map<string, Set<LockOwner>> {
  return new Map(
    [...groupBy(locks, ({ mode }) => mode)].map(([mode, ofMode]) => [
      mode,
      new Set(ofMode.map(({ owner }) => owner)),
    ]),
  );
}

/** Compares two owners, independently of their order in the reading. Returns a number below 0, 0, or above 0. */
export function compareOwners(one: LockOwner, other: LockOwner): number {
  if (one.kind === 'session' && other.kind === 'session') {
    return one.id < other.id ? -1 : Number(one.id > other.id);
  }
  const [key, otherKey] = [keyOf(one), keyOf(other)];
  return key < otherKey ? -1 : Number(key > otherKey);
}

function keyOf(owner: LockOwner): string {
  return owner.kind === 'unknown' ? owner.kind : `${owner.kind} ${owner.id}`;
}

/** Returns a function that returns one object for equal owners. */
function uniqueOwners(): (owner: LockOwner) => LockOwner {
  const known = new Map<string, LockOwner>();
  return (owner) => {
    const key = keyOf(owner);
    const there = known.get(key) ?? owner;
    known.set(key, there);
    return there;
  };
}

function groupBy<T, K>(items: readonly T[], keyOfItem: (item: T) => K): Map<K, [T, ...T[]]> {
  const groups = new Map<K, [T, ...T[]]>();
  for (const item of items) {
    const key = keyOfItem(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
