import type { Session, Transaction } from './session.ts';
import type { HttpAnswer } from './transport.ts';
import { flag, integer, list, okFieldsOf, record, sessionOf, text } from './wire.ts';
import { transactionOf, type Fields } from './wire.ts';

/** A session, an internal thread or a prepared transaction for which user sessions wait. */
export interface Blocker {
  /** Undefined for an internal thread, and for a prepared transaction. */
  readonly id: bigint | undefined;
  /** Undefined if `id` is undefined, or if the session has left the list during its rollback. */
  readonly session: Session | undefined;
  /** Undefined if the node shows no transaction. */
  readonly transaction: Transaction | undefined;
  /** True for a prepared XA transaction: no KILL ends it. */
  readonly isPrepared: boolean;
  /** True if the blocker waits for nobody, or only for members of its own cycle. */
  readonly isRoot: boolean;
  /** The number of user sessions that wait for the blocker, directly or not. */
  readonly waiters: number;
  readonly directWaiters: number;
  /** True for a user session. The node can still refuse to end the session. */
  readonly canBeKilled: boolean;
}

/** A lock that a session waits for. A field that the node does not show is undefined. */
export interface WantedLock {
  /** The time of the wait, in seconds. For a metadata lock, the age of the statement. */
  readonly seconds: number | undefined;
  readonly db: string | undefined;
  readonly table: string | undefined;
  readonly index: string | undefined;
  readonly mode: string | undefined;
  readonly data: string | undefined;
}

/** A session that waits, and one blocker that it waits for. */
export interface Wait extends WantedLock {
  readonly id: bigint;
  /** The id of the blocker; undefined for an internal thread, and for a prepared transaction. */
  readonly waitsFor: bigint | undefined;
  /** `row`, `metadata`, or `user` for a lock of GET_LOCK. */
  readonly kind: string;
  /** The name of a lock of GET_LOCK. */
  readonly name: string | undefined;
}

/** The blockers of a node, and the waits for them. */
export interface Blockers {
  /** Roots first, then by `waiters`, then by id. To free the waiters, end the roots that can be killed. */
  readonly blockers: readonly Blocker[];
  /** At most 1,000. */
  readonly waits: readonly Wait[];
  /** True if the node has more waits. The counts of the blockers include these waits. */
  readonly isTruncated: boolean;
  /** `available`, or a sentence with the reason why the node does not show these locks. */
  readonly sources: { readonly row: string; readonly metadata: string };
}

/** The lock that a session waits for, and the blocker at the end of its chain. */
export interface LockCause {
  readonly id: bigint;
  /** The statement that waits. */
  readonly info: string;
  readonly lock: WantedLock;
  /** A field that the node does not show is undefined. If the blocker is an internal thread, all fields are undefined. */
  readonly root: {
    readonly id: bigint | undefined;
    readonly host: string | undefined;
    readonly command: string | undefined;
    /** The statement that the blocker runs; empty if it runs none. */
    readonly info: string | undefined;
    readonly transaction: Transaction | undefined;
    /** The id of the blocker's thread in `performance_schema`. */
    readonly threadId: bigint | undefined;
  };
}

/** Reads the answer to GET …/blockers. Throws a `SessionControlError` if the answer is an error or malformed. */
export function blockersOf(answer: HttpAnswer): Blockers {
  const fields = okFieldsOf(answer);
  const sources = record(answer, fields['sources']);
  return {
    blockers: list(answer, fields['blockers']).map((entry) =>
      blockerOf(answer, record(answer, entry)),
    ),
    waits: list(answer, fields['waits']).map((entry) => waitOf(answer, record(answer, entry))),
    isTruncated: fields['truncated'] === true,
    sources: { row: text(answer, sources['row']), metadata: text(answer, sources['metadata']) },
  };
}

/** Reads the answer to GET …/process/lock-wait; undefined if the session waits for nobody. Throws like `blockersOf`. */
export function lockCauseOf(answer: HttpAnswer): LockCause | undefined {
  const found = okFieldsOf(answer)['abnormal_root_cause'];
  if (found === undefined) return undefined;
  const fields = record(answer, record(answer, found)['lock_root_cause']);
  const { integerIn, numberIn, textIn } = readers(answer, fields);
  const statements = fields['blocker_current_sql'];
  const state = textIn('blocker_state');
  return {
    id: integer(answer, fields['locked_pid']),
    info: text(answer, fields['locked_sql']),
    lock: {
      seconds: numberIn('wait_seconds'),
      db: textIn('lock_db'),
      table: textIn('lock_table'),
      index: textIn('lock_index'),
      mode: textIn('lock_mode'),
      data: textIn('lock_data'),
    },
    root: {
      id: integerIn('blocker_pid'),
      host: textIn('blocker_host'),
      command: textIn('blocker_command'),
      info: statements === undefined ? undefined : list(answer, statements).join('; '),
      transaction:
        state === undefined
          ? undefined
          : {
              state,
              seconds: numberIn('blocker_age') ?? 0,
              rowsLocked: integer(answer, fields['blocker_rows_locked']),
              rowsModified: integer(answer, fields['blocker_rows_modified']),
            },
      threadId: integerIn('blocker_thread_id'),
    },
  };
}

function blockerOf(answer: HttpAnswer, fields: Fields): Blocker {
  const { transaction, ...ofSession } = fields;
  return {
    id: readers(answer, fields).integerIn('id'),
    session: fields['user'] === undefined ? undefined : sessionOf(answer, ofSession),
    transaction: transactionOf(answer, transaction) ?? undefined,
    isPrepared: fields['prepared'] === true,
    isRoot: flag(answer, fields['is_root']),
    waiters: Number(integer(answer, fields['waiters'])),
    directWaiters: Number(integer(answer, fields['direct_waiters'])),
    canBeKilled: flag(answer, fields['can_be_killed']),
  };
}

/** Reads a row of `waits`. Throws like `blockersOf`. */
export function waitOf(answer: HttpAnswer, fields: Fields): Wait {
  const { integerIn, numberIn, textIn } = readers(answer, fields);
  return {
    id: integer(answer, fields['id']),
    waitsFor: integerIn('waits_for'),
    kind: text(answer, fields['kind']),
    seconds: numberIn('seconds'),
    db: textIn('db'),
    table: textIn('table'),
    index: textIn('index'),
    mode: textIn('mode'),
    data: textIn('data'),
    name: textIn('name'),
  };
}

/** Returns functions that read a field by its name. Each function returns undefined if the field is absent or null. */
function readers(answer: HttpAnswer, fields: Fields) {
  const optional =
    <T>(read: (answer: HttpAnswer, value: unknown) => T) =>
    (name: string): T | undefined => {
      const value = fields[name];
      return value === undefined || value === null ? undefined : read(answer, value);
    };
  return {
    integerIn: optional(integer),
    numberIn: optional((from, value) => Number(integer(from, value))),
    textIn: optional(text),
  };
}
