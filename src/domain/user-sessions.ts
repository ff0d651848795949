import type { TransactionReading } from './locks.ts';
import { sessionOf, type ProcessListRow, type Session } from './session.ts';

/** The pages of one reader come from one list of at most this age, in milliseconds. */
const MAX_PAGE_AGE_MS = 2000;

/** A row whose id is a decimal integer without leading zeros. */
export type ListedRow = ProcessListRow & { readonly id: string };

/** The user sessions of a process list. Builds a `Session` only on request: a list can have ten thousand rows. */
export class UserSessions {
  /** The rows of the user sessions, by ascending id. */
  readonly ascending: readonly ListedRow[];
  /** All other rows of the list. */
  readonly others: readonly ProcessListRow[];

  /** `ascending` must be sorted by id, with no id twice. */
  constructor(ascending: readonly ListedRow[], others: readonly ProcessListRow[]) {
    this.ascending = ascending;
    this.others = others;
  }

  /** Returns the session with this id, or undefined if there is none. */
  get(id: bigint): Session | undefined {
    const wanted = id.toString();
    let [low, high] = [0, this.ascending.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.ascending[middle];
      if (row === undefined) return undefined;
      const order = compareIds(wanted, row.id);
      if (order === 0) return sessionOf(row);
      if (order < 0) high = middle;
      else low = middle + 1;
    }
    return undefined;
  }
}

/** The user sessions that a reader gets pages of. */
export interface PagedSessions {
  readonly ascending: readonly ListedRow[];
  /** Undefined if the reader did not request them. */
  readonly transactions: TransactionReading | undefined;
}

interface Cached {
  readonly listed: PagedSessions;
  readonly askedAt: number;
}

/** Keeps the last list of each reader for 2 s, so that its pages fit together and cost one read. No KILL relies on such a list. */
export class PageCache {
  /** By reader, in the order of the calls of `keep`. */
  readonly #cached = new Map<string, Cached>();

  /** Returns the sessions that this reader got, if their list is at most 2 s old. */
  get(reader: string, now: number): PagedSessions | undefined {
    this.#forgetOld(now);
    const cached = this.#cached.get(reader);
    // An old list that took long to read can stand behind newer lists, where #forgetOld does not reach it.
    return cached !== undefined && now - cached.askedAt <= MAX_PAGE_AGE_MS
      ? cached.listed
      : undefined;
  }

  /** Keeps the sessions that a reader gets. `askedAt` is in milliseconds of `performance.now()`. */
  keep(reader: string, listed: PagedSessions, askedAt: number): void {
    this.#cached.delete(reader);
    this.#cached.set(reader, { listed, askedAt });
    this.#forgetOld(askedAt);
  }

  #forgetOld(now: number): void {
    for (const [reader, { askedAt }] of this.#cached) {
      if (now - askedAt <= MAX_PAGE_AGE_MS) return;
      this.#cached.delete(reader);
    }
  }
}

/**
 * Returns true if a session waits for its next statement. Such a session shows its own account, since it is in no routine. It is in no
 * state of replication either; callers check the command first, since the state takes longer to read.
 */
export function isAtRest({ command }: ProcessListRow): boolean {
  // The comparison without a new text decides nearly all rows of a long list.
  return command === 'Sleep' || command?.toLowerCase() === 'sleep';
}

/**
 * Returns the account with which a session logged in, or undefined if neither the row nor the thread shows it. A busy session can show the
 * definer of a routine. A thread from an earlier read can show the account before a COM_CHANGE_USER.
 */
export function loginUserOf(row: ProcessListRow): string | undefined {
  if (isAtRest(row)) return row.user ?? '';
  const login = row.thread?.loginUser ?? '';
  return login === '' ? undefined : login;
}

/** Returns true if the id of a row is a decimal integer of at most 20 digits; leading zeros are for the caller to check. */
export function hasNumber(row: ProcessListRow): row is ListedRow {
  return row.id !== null && isNumber(row.id);
}

/** Returns true for an id above 2^64-1. Decimal texts of one length compare like their numbers. */
export function isTooHigh(id: string): boolean {
  return id.length >= 20 && id > '18446744073709551615';
}

/** Returns a function that is true for these ids. Its callers must pass ascending ids. A set would hash each of ten thousand ids. */
export function among(ids: string[]): (id: string) => boolean {
  const ascending = ids.sort(compareIds);
  let next = 0;
  return (id) => {
    for (; next < ascending.length; next += 1) {
      const order = compareIds(ascending[next] ?? '', id);
      if (order >= 0) return order === 0;
    }
    return false;
  };
}

/** Compares two decimal integers without leading zeros. Returns a number below 0, 0, or above 0. */
export function compareIds(one: string, other: string): number {
  if (one.length !== other.length) return one.length - other.length;
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Returns true for 1 to 20 digits. A regular expression is slower, and a list can have ten thousand ids. */
function isNumber(id: string): boolean {
  if (id.length === 0 || id.length > 20) return false;
  for (let index = 0; index < id.length; index += 1) {
    const code = id.charCodeAt(index);
    if (code < 48 || code > 57) return false;
  }
  return true;
}
