import { isLockWaitState } from './locks.ts';
import type { LockOwner, LockReading, LockTransaction } from './locks.ts';
import type { ProcessListRow, Session } from './session.ts';

/** The process list beside which a reading is interpreted. `UserSessions` implements it. */
export interface ListedSessions {
  /** Returns the user session with this id. */
  get(id: bigint): Session | undefined;
  /** The other rows of the list: internal threads. */
  readonly others: readonly ProcessListRow[];
}

/**
 * The kind of an owner. `leaving`: a session that has left the list while it is rolled back. `unknown`: neither the list nor the reading
 * explains it.
 */
export type OwnerKind = 'client' | 'internal' | 'prepared' | 'leaving' | 'unknown';

/** The owners of locks, as a process list and the transactions of the reading show them. */
export class LockOwners {
  readonly #reading: LockReading;
  readonly #listed: ListedSessions;
  readonly #internal: ReadonlyMap<string, ProcessListRow>;
  /** Caches look-ups, because `listed.get` builds a new `Session` for each call. */
  readonly #sessions = new Map<bigint, Session | undefined>();

  constructor(reading: LockReading, listed: ListedSessions) {
    [this.#reading, this.#listed] = [reading, listed];
    this.#internal = new Map(listed.others.map((row) => [row.id ?? '', row]));
  }

  kindOf(owner: LockOwner): OwnerKind {
    if (owner.kind === 'prepared' || owner.kind === 'unknown') return owner.kind;
    if (owner.kind === 'thread') return 'internal';
    if (this.sessionOf(owner) !== undefined) return 'client';
    if (this.#internal.has(owner.id.toString())) return 'internal';
    return this.transactionOf(owner)?.state === 'ROLLING BACK' ? 'leaving' : 'unknown';
  }

  /** Returns the user session; undefined for any other owner. */
  sessionOf(owner: LockOwner): Session | undefined {
    if (owner.kind !== 'session') return undefined;
    const { id } = owner;
    if (!this.#sessions.has(id)) this.#sessions.set(id, this.#listed.get(id));
    return this.#sessions.get(id);
  }

  transactionOf(owner: LockOwner): LockTransaction | undefined {
    if (owner.kind === 'prepared') return this.#reading.prepared.get(owner.id);
    return owner.kind === 'session' ? this.#reading.transactions?.get(owner.id) : undefined;
  }

  /** Returns the age of the owner's present statement, in seconds. */
  secondsOf(owner: LockOwner): number {
    return Number(this.#rowOf(owner)?.time ?? 0);
  }

  /** Returns true if the process list shows the owner in a lock-wait state. */
  looksWaiting(owner: LockOwner): boolean {
    return isLockWaitState(this.#rowOf(owner)?.state ?? '');
  }

  /** Returns true if the transaction of the owner waits for a row lock. */
  waitsForRow(owner: LockOwner): boolean {
    return this.transactionOf(owner)?.waitSeconds !== undefined;
  }

  #rowOf(owner: LockOwner): Session | ProcessListRow | undefined {
    if (owner.kind !== 'session') return undefined;
    return this.sessionOf(owner) ?? this.#internal.get(owner.id.toString());
  }
}
