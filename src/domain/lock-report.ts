import type { Sentence } from '../errors.ts';
import { LockGraph } from './lock-graph.ts';
import { LockOwners, type ListedSessions } from './lock-owners.ts';
import { compareOwners, type LockWait } from './lock-waits.ts';
import type { LockOwner, LockReading, LockSource, LockTransaction } from './locks.ts';
import type { Session } from './session.ts';

/** A report shows at most this many waits. */
export const MAX_WAITS = 1000;

/** A session, an internal thread or a prepared transaction for which user sessions wait. */
export interface Blocker {
  /** Null for an internal thread, and for a prepared transaction. */
  readonly id: bigint | null;
  /** Undefined if the id is null, or if the session has left the list while it is rolled back. */
  readonly session: Session | undefined;
  readonly transaction: LockTransaction | undefined;
  readonly isPrepared: boolean;
  /** True if it waits for no other owner, or only for members of its own cycle. */
  readonly isRoot: boolean;
  /** The number of user sessions that wait for it, directly or not. */
  readonly waiters: number;
  readonly directWaiters: number;
  /** True for a user session. The node can still refuse to end it. */
  readonly canBeKilled: boolean;
  /** The node's THREAD_ID, if the lock tables show it. */
  readonly threadId: bigint | undefined;
}

/** The lock that a user session waits for. Fields that the node does not show are undefined. */
export interface RequestedLock {
  readonly kind: LockWait['kind'];
  /** The time that the request has waited, in whole seconds; for a metadata lock or a lock of GET_LOCK, the age of the statement. */
  readonly seconds: bigint | undefined;
  readonly db: string | undefined;
  readonly table: string | undefined;
  readonly index: string | undefined;
  readonly mode: string | undefined;
  readonly data: string | undefined;
  /** The name of a lock of GET_LOCK. */
  readonly name: string | undefined;
}

/** A user session that waits, and one blocker that it waits for. */
export interface Wait extends RequestedLock {
  readonly id: bigint;
  /** The id of the blocker. */
  readonly waitsFor: bigint | null;
}

/** The blockers and the waits of a node. */
export interface LockReport {
  /** Sorted: roots first, then by descending `waiters`, then by ascending id. */
  readonly blockers: readonly Blocker[];
  /** One for each waiter, kind and blocker, by ascending id of the waiter; at most `MAX_WAITS`. */
  readonly waits: readonly Wait[];
  readonly isTruncated: boolean;
  readonly sources: LockReading['sources'];
}

/** Returns the blockers and the waits that a lock reading and a process list show. */
export function lockReport(reading: LockReading, listed: ListedSessions): LockReport {
  const owners = new LockOwners(reading, listed);
  const graph = new LockGraph(reading, owners);
  const waits = distinctWaits(graph, owners, () => true);
  const blockers = graph
    .blockers()
    .sort(compareOwners)
    .map((owner) => blockerOf(owner, graph, owners, reading));
  return {
    blockers: blockers.sort(compareBlockers),
    waits: waits.slice(0, MAX_WAITS),
    isTruncated: waits.length > MAX_WAITS,
    sources: { ...reading.sources, metadata: metadataSource(reading, graph) },
  };
}

/** The waits that concern one session, each kind at most `MAX_WAITS`. */
export interface WaitsOfSession {
  readonly waitsFor: readonly Wait[];
  readonly blocks: readonly Wait[];
  readonly areTruncated: boolean;
  readonly sources: LockReading['sources'];
}

/** Returns the waits of a user session, and the waits of others for it. Includes waits that `lockReport` cuts off. */
export function waitsOf(id: bigint, reading: LockReading, listed: ListedSessions): WaitsOfSession {
  const owners = new LockOwners(reading, listed);
  const graph = new LockGraph(reading, owners);
  const waitsFor = distinctWaits(graph, owners, (row) => row.id === id);
  const blocks = distinctWaits(graph, owners, (row) => row.waitsFor === id);
  return {
    waitsFor: waitsFor.slice(0, MAX_WAITS),
    blocks: blocks.slice(0, MAX_WAITS),
    areTruncated: Math.max(waitsFor.length, blocks.length) > MAX_WAITS,
    sources: { ...reading.sources, metadata: metadataSource(reading, graph) },
  };
}

/**
 * Returns the lock that a user session waits for, with the root at the end of its chain. Of several roots, it is the one with the oldest
 * transaction. For a session in a cycle of roots, it is one that the session waits for directly. The root is undefined if the node does not
 * show it. Returns undefined if the session waits for nobody.
 */
export function rootCauseOf(
  id: bigint,
  reading: LockReading,
  listed: ListedSessions,
): { readonly lock: RequestedLock; readonly root: Blocker | undefined } | undefined {
  const owners = new LockOwners(reading, listed);
  const graph = new LockGraph(reading, owners);
  const wait = graph.waits.find(({ waiter }) => waiter.kind === 'session' && waiter.id === id);
  if (wait === undefined) return undefined;
  const ageOf = (owner: LockOwner): number => Number(owners.transactionOf(owner)?.seconds ?? -1n);
  const [root] = graph
    .rootsOf(wait)
    .sort((one, other) => ageOf(other) - ageOf(one) || compareOwners(one, other));
  return {
    lock: requestedLock(wait, owners),
    root: root && blockerOf(root, graph, owners, reading),
  };
}

function blockerOf(
  owner: LockOwner,
  graph: LockGraph,
  owners: LockOwners,
  { threadIds }: LockReading,
): Blocker {
  const kind = owners.kindOf(owner);
  const id = idOf(owner, owners);
  return {
    id,
    session: owners.sessionOf(owner),
    // Callers learn nothing about internal threads.
    transaction: kind === 'internal' ? undefined : owners.transactionOf(owner),
    isPrepared: kind === 'prepared',
    isRoot: graph.isRoot(owner),
    waiters: graph.waitersOf(owner),
    directWaiters: graph.directWaitersOf(owner),
    canBeKilled: kind === 'client',
    threadId: id === null ? undefined : threadIds.get(id),
  };
}

function idOf(owner: LockOwner, owners: LockOwners): bigint | null {
  return owner.kind === 'session' && owners.kindOf(owner) !== 'internal' ? owner.id : null;
}

function compareBlockers(one: Blocker, other: Blocker): number {
  const isRoot = Number(other.isRoot) - Number(one.isRoot);
  if (isRoot !== 0 || one.waiters !== other.waiters) return isRoot || other.waiters - one.waiters;
  if (one.id === null || other.id === null)
    return Number(one.id === null) - Number(other.id === null);
  return one.id < other.id ? -1 : 1;
}

/** Returns the wanted rows, one for each waiter, kind and blocker. Stops once it has more than `MAX_WAITS`. */
function distinctWaits(
  graph: LockGraph,
  owners: LockOwners,
  isWanted: (row: Wait) => boolean,
): Wait[] {
  const waits = new Map<string, Wait>();
  for (const wait of graph.waits) {
    if (waits.size > MAX_WAITS) break;
    for (const row of rowsOf(wait, owners)) {
      if (isWanted(row)) waits.set([row.id, row.kind, row.waitsFor ?? ''].join(' '), row);
    }
  }
  return [...waits.values()];
}

/** Yields one row for each holder of a known kind. */
function* rowsOf(wait: LockWait, owners: LockOwners): Iterable<Wait> {
  const { waiter, holders } = wait;
  if (waiter.kind !== 'session') return;
  const lock = requestedLock(wait, owners);
  const known = holders
    .flatMap((set) => [...set])
    .filter((owner) => owners.kindOf(owner) !== 'unknown');
  for (const owner of known.sort(compareOwners)) {
    yield { id: waiter.id, waitsFor: idOf(owner, owners), ...lock };
  }
}

function requestedLock({ waiter, kind, lock }: LockWait, owners: LockOwners): RequestedLock {
  if ('index' in lock) return { kind, ...lock, name: undefined };
  const { db, name, mode } = lock;
  const session = owners.sessionOf(waiter);
  return {
    kind,
    // `time` is the duration of the wait only while the state is a lock wait.
    seconds: owners.looksWaiting(waiter) ? session?.time : undefined,
    db: textOf(db),
    table: kind === 'user' ? undefined : textOf(name),
    index: undefined,
    mode,
    data: undefined,
    name: kind === 'user' ? name : undefined,
  };
}

function textOf(text: string): string | undefined {
  return text === '' ? undefined : text;
}

function metadataSource({ sources }: LockReading, graph: LockGraph): LockSource {
  if (sources.metadata !== 'available') return sources.metadata;
  const isHolderMissing = graph.waits.some(
    ({ kind, holders }) => kind !== 'row' && holders.length === 0,
  );
  return isHolderMissing ? INCOMPLETE : 'available';
}

const INCOMPLETE: Sentence = {
  'en-us':
    'Incomplete: a session waits for a metadata lock whose holder the node does not show. A lock from before the instrument wait/lock/metadata/sql/mdl was switched on, or of a prepared transaction (XA RECOVER), is not shown. End the oldest transaction that uses the table, or wait until it ends.',
  'zh-cn':
    '不完整：有会话正在等待元数据锁，但节点未显示其持有者。在启用instrument wait/lock/metadata/sql/mdl之前获得的锁，或预备事务（XA RECOVER）的锁，不会显示。请终止使用该表的最早的事务，或等待其结束。',
};
