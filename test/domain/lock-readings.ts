import { UserSessions, type ListedRow } from '../../src/domain/user-sessions.ts';
import type {
  LockOwner,
  LockReading,
  LockTransaction,
  MetadataLock,
  RowWait,
} from '../../src/domain/locks.ts';

/** The columns of a listed session that matter to a test. `isInternal` marks a thread without a client. */
export interface Listed {
  readonly state?: string;
  readonly time?: number;
  readonly isInternal?: boolean;
}

/** Returns a list of user sessions, and internal threads among the others. */
export function listOf(sessions: ReadonlyMap<number, Listed>): UserSessions {
  const rows = [...sessions]
    .sort(([one], [other]) => one - other)
    .map(([id, { state = '', time = 0, isInternal = false }]) => ({
      isInternal,
      id: id.toString(),
      user: 'app',
      host: `10.0.0.1:${id}`,
      db: null,
      command: 'Query',
      time: time.toString(),
      state,
      info: null,
    }));
  const ofKind = (wanted: boolean): ListedRow[] =>
    rows.filter(({ isInternal }) => isInternal === wanted);
  return new UserSessions(ofKind(false), ofKind(true));
}

/** Returns the owner that a word names: `7` a session, `t7` a thread, `p7` a prepared transaction, `?` an unknown owner. */
export function ownerOf(word: string): LockOwner {
  if (word === '?') return { kind: 'unknown' };
  if (word.startsWith('t')) return { kind: 'thread', id: word.slice(1) };
  if (word.startsWith('p')) return { kind: 'prepared', id: word.slice(1) };
  return { kind: 'session', id: BigInt(word) };
}

/** Returns the row waits of a text such as `2>1 3~2`: 2 waits for 1, which has the lock; 2 is ahead of 3. */
export function rowWaits(text: string): RowWait[] {
  return wordsOf(text).map((word) => {
    const [waiter = '', sign = '', holder = ''] = word.split(/([>~])/);
    const [seconds, db, table, index, mode, data] = [3n, 'shop', 't', 'PRIMARY', 'X', '1'];
    const lock = { seconds, db, table, index, mode, data };
    return { waiter: BigInt(waiter), holder: ownerOf(holder), isGranted: sign === '>', lock };
  });
}

/** Returns the metadata locks of a text such as `1:SHARED_READ 2?EXCLUSIVE`: 1 has a lock, 2 asks for one. */
export function metadataLocks(text: string, type = 'TABLE', name = 't'): MetadataLock[] {
  return wordsOf(text).map((word) => {
    const [owner = '', sign = '', mode = ''] = word.split(/([:?](?=[A-Z]))/);
    const db = type === 'TABLE' ? 'shop' : '';
    return { owner: ownerOf(owner), type, db, name, mode, isGranted: sign === ':' };
  });
}

/** Returns an open transaction. */
export function transaction(changes: Partial<LockTransaction> = {}): LockTransaction {
  return {
    state: 'RUNNING',
    seconds: 10n,
    rowsLocked: 1n,
    rowsModified: 0n,
    waitSeconds: undefined,
    ...changes,
  };
}

/** Returns a reading of these parts; the others are empty. */
export function readingOf(parts: Partial<LockReading> = {}): LockReading {
  return {
    rowWaits: [],
    metadataLocks: [],
    transactions: new Map(),
    prepared: new Map(),
    threadIds: new Map(),
    sources: { row: 'available', metadata: 'available' },
    ...parts,
  };
}

function wordsOf(text: string): string[] {
  return text.split(' ').filter((word) => word !== '');
}
