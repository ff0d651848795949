import { sessionOf, type ProcessListRow, type Session } from './session.ts';

/** Pages of one reader come from one list while it is at most this old, in milliseconds. */
const MAX_PAGE_AGE_MS = 2000;

/** A row whose id is a decimal integer without zeros in front. */
export type ListedRow = ProcessListRow & { readonly id: string };

/** The user sessions of a process list. Lists are long and few of their sessions asked for: each is made when it is. */
export class UserSessions {
  /** All of them by ascending id, as rows. */
  readonly ascending: readonly ListedRow[];
  /** What else the list shows. */
  readonly others: readonly ProcessListRow[];

  /** The first by ascending id, no id twice. */
  constructor(ascending: readonly ListedRow[], others: readonly ProcessListRow[]) {
    this.ascending = ascending;
    this.others = others;
  }

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

interface Cached {
  readonly sessions: readonly ListedRow[];
  readonly askedAt: number;
}

/** Keeps the last list of each reader for 2 s: pages fit together, and cost the node one list. No KILL is sent by such a list. */
export class PageCache {
  /** By reader, in the order of their lists. */
  readonly #cached = new Map<string, Cached>();

  /** Returns the sessions that this reader got, if they are at most 2 s old. */
  get(reader: string, now: number): readonly ListedRow[] | undefined {
    this.#forgetOld(now);
    const cached = this.#cached.get(reader);
    // A list that took long is old, and can stand behind newer ones.
    return cached !== undefined && now - cached.askedAt <= MAX_PAGE_AGE_MS
      ? cached.sessions
      : undefined;
  }

  /** Keeps the sessions that a reader gets. `askedAt` is in milliseconds of `performance.now()`. */
  keep(reader: string, sessions: readonly ListedRow[], askedAt: number): void {
    this.#cached.delete(reader);
    this.#cached.set(reader, { sessions, askedAt });
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
 * True if a session waits for its next statement. Then it is in no routine, and shows its own account; nor is it in a state of
 * replication, which takes longer to read.
 */
export function isAtRest({ command }: ProcessListRow): boolean {
  return command?.toLowerCase() === 'sleep';
}

/**
 * Returns the account with which a session logged in, or undefined if neither its row nor its thread shows it. A busy session can show
 * the definer of a routine instead; a thread that was read before can show the account before a COM_CHANGE_USER.
 */
export function loginUserOf(row: ProcessListRow): string | undefined {
  if (isAtRest(row)) return row.user ?? '';
  const login = row.thread?.loginUser ?? '';
  return login === '' ? undefined : login;
}

export function hasNumber(row: ProcessListRow): row is ListedRow {
  return row.id !== null && isNumber(row.id);
}

// The highest is 2^64-1; of two numbers with as many digits the texts compare alike.
export function isTooHigh(id: string): boolean {
  return id.length >= 20 && id > '18446744073709551615';
}

/** Returns a function that finds ids among these, called by ascending id. A set would hash each of ten thousand ids. */
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

/** Below 0, 0 or above: how two decimal integers without zeros in front compare. */
export function compareIds(one: string, other: string): number {
  if (one.length !== other.length) return one.length - other.length;
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Returns true for 1 to 20 digits. A regular expression takes longer, and long lists have ten thousand ids. */
function isNumber(id: string): boolean {
  if (id.length === 0 || id.length > 20) return false;
  for (let index = 0; index < id.length; index += 1) {
    const code = id.charCodeAt(index);
    if (code < 48 || code > 57) return false;
  }
  return true;
}
