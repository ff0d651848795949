import type { Sentence } from '../errors.ts';
import type { ProcessListRow } from './session.ts';

/** A session, a thread or a transaction that waits for a lock or holds one. */
export type LockOwner =
  /** A session of the process list, a client's or an internal one. */
  | { readonly kind: 'session'; readonly id: bigint }
  /** A thread of the server without a session id; `id` is unique among them. */
  | { readonly kind: 'thread'; readonly id: string }
  /** A prepared XA transaction; `id` is InnoDB's number of the transaction. A KILL of its session frees nobody. */
  | { readonly kind: 'prepared'; readonly id: string }
  /** An owner that the node does not name. */
  | { readonly kind: 'unknown' };

/** A session that waits for a row lock, and one transaction that it waits for. */
export interface RowWait {
  readonly waiter: bigint;
  readonly holder: LockOwner;
  /** True if the holder has the lock; false if only its request is ahead in the queue. */
  readonly isGranted: boolean;
  /** The lock that the waiter requests. */
  readonly lock: RowLock;
}

/** A requested row lock. A field that the node does not show is undefined. */
export interface RowLock {
  /** The time that the request has waited, in whole seconds. */
  readonly seconds: bigint | undefined;
  readonly db: string | undefined;
  readonly table: string | undefined;
  readonly index: string | undefined;
  /** In the words of the node, such as `X,REC_NOT_GAP`. */
  readonly mode: string | undefined;
  readonly data: string | undefined;
}

/** A granted or pending metadata lock, or a lock of GET_LOCK. */
export interface MetadataLock {
  readonly owner: LockOwner;
  /** The kind of the object in the words of the node: `TABLE`, `GLOBAL`, `USER LEVEL LOCK`. */
  readonly type: string;
  /** The database of the object; empty if it has none. */
  readonly db: string;
  /** The name of the object; empty if it has none. */
  readonly name: string;
  /** In the words of the node, such as `SHARED_UPGRADABLE`. */
  readonly mode: string;
  readonly isGranted: boolean;
}

/** An open transaction of InnoDB. */
export interface LockTransaction {
  /** In the words of the node: `RUNNING`, `LOCK WAIT`, `ROLLING BACK` or `COMMITTING`. */
  readonly state: string;
  /** Its age in whole seconds, by the clock of the node. */
  readonly seconds: bigint;
  readonly rowsLocked: bigint;
  readonly rowsModified: bigint;
  /** The time that it has waited for a row lock, in whole seconds; undefined if it does not wait. */
  readonly waitSeconds: bigint | undefined;
}

/** `available`, or one sentence that says what is missing and what would help. */
export type LockSource = 'available' | Sentence;

/** The open transactions that the node showed. */
export interface TransactionReading {
  /** By session id, also of sessions that are listed no more; empty if the node does not show them. */
  readonly bySession: ReadonlyMap<bigint, LockTransaction>;
  readonly source: LockSource;
}

/** The locks that the node showed. The parts of a reading are of different moments, and none is of the moment of a process list. */
export interface LockReading {
  readonly rowWaits: readonly RowWait[];
  /** All locks, granted or pending, on the objects that have a pending lock. */
  readonly metadataLocks: readonly MetadataLock[];
  /** The open transactions by session id, also of sessions that are listed no more; undefined if the account may not read them. */
  readonly transactions: ReadonlyMap<bigint, LockTransaction> | undefined;
  /** The prepared transactions, by InnoDB's number. */
  readonly prepared: ReadonlyMap<string, LockTransaction>;
  /** The node's THREAD_ID of sessions, by session id, as far as the lock tables show it. */
  readonly threadIds: ReadonlyMap<bigint, bigint>;
  readonly sources: { readonly row: LockSource; readonly metadata: LockSource };
}

/** Returns true for the state of a session that waits for a metadata lock, a table flush or a lock of GET_LOCK. */
export function isLockWaitState(state: string): boolean {
  return state === FLUSH_WAIT || state === 'User lock' || /^Waiting for .* lock$/.test(state);
}

/** Returns true for a session whose statement has run for a second, and can wait for a row lock: its state does not show that. */
export function mayWaitForRow({ command, time, state }: ProcessListRow): boolean {
  const isRunning = /^(query|execute)$/i.test(command ?? '') && !/^0?$/.test(time ?? '');
  return isRunning && !isLockWaitState(state ?? '') && state !== 'User sleep';
}

/** The state of a session that waits until other sessions close their tables. No server shows which sessions these are. */
export const FLUSH_WAIT = 'Waiting for table flush';
