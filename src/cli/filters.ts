import type { Matches } from '../client/index.ts';
import { parseDuration } from './durations.ts';
import { usageError } from './failures.ts';
import type { ListedSession } from './listing.ts';
import { readPatterns } from './patterns.ts';

/** The filters from the command line. Filters of different kinds must all match. */
export interface FilterOptions {
  readonly user?: readonly string[];
  readonly db?: readonly string[];
  readonly host?: readonly string[];
  readonly command?: readonly string[];
  readonly state?: readonly string[];
  readonly info?: readonly string[];
  readonly minTime?: string;
  readonly inTransaction?: boolean;
  readonly minTrxTime?: string;
  readonly waiting?: boolean;
}

/** Returns true if a session passes. */
export type Filter = (session: ListedSession) => boolean;

export const TEXT_FILTERS = ['user', 'db', 'host', 'command', 'state', 'info'] as const;
/** Fields that are compared with case. */
const EXACT: ReadonlySet<string> = new Set(['user', 'db', 'host']);
const MAX_WAIT_SECONDS = 86_400;
/** The states of sessions that wait for a metadata lock, a table or a lock of GET_LOCK. */
const LOCK_WAIT_STATE = /^(Waiting for (.* lock|table flush)|User lock)$/;
export const SORT_KEYS = [
  ...(['id', 'user', 'host', 'db', 'command', 'time', 'state'] as const),
  ...(['trx', 'rows'] as const),
];
type SortKey = (typeof SORT_KEYS)[number];

/** True if the options hold a filter. */
export function hasFilter(options: FilterOptions): boolean {
  const names = [...TEXT_FILTERS, 'minTime', 'inTransaction', 'minTrxTime', 'waiting'] as const;
  return names.some((name) => options[name] !== undefined);
}

/** Returns the flag of a filter that needs to know the transactions; undefined if there is none. */
export function transactionFilter(options: FilterOptions): string | undefined {
  if (options.inTransaction === true) return '--in-transaction';
  return options.minTrxTime === undefined ? undefined : '--min-trx-time';
}

/** Reads the filters. Throws a usage error for a bad pattern or duration. */
export function readFilter(options: FilterOptions): Filter {
  const tests: Filter[] = TEXT_FILTERS.flatMap((name) => {
    const patterns = options[name];
    if (patterns === undefined) return [];
    const matches = readPatterns(`--${name}`, patterns, EXACT.has(name));
    return [name === 'host' ? hostTest(matches) : (session) => matches(session[name])];
  });
  if (options.minTime !== undefined) {
    const least = readSeconds('--min-time', options.minTime);
    tests.push(({ time }) => time >= least);
  }
  if (options.inTransaction === true) tests.push(({ transaction }) => Boolean(transaction));
  if (options.minTrxTime !== undefined) {
    const least = readSeconds('--min-trx-time', options.minTrxTime);
    tests.push(({ transaction }) => (transaction?.seconds ?? -1) >= least);
  }
  if (options.waiting === true) tests.push(isWaiting);
  return (session) => tests.every((passes) => passes(session));
}

/** True if a session waits for a lock. */
export function isWaiting({ transaction, state }: ListedSession): boolean {
  return transaction?.state === 'LOCK WAIT' || LOCK_WAIT_STATE.test(state);
}

/** Reads a duration in seconds. Throws a usage error. */
function readSeconds(option: string, text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== undefined) return seconds;
  throw usageError(
    `${option} ${text} is not a duration.`,
    'Write a duration as 90s, 5m, 1h30m or 2d.',
  );
}

/** Reads a duration of at most a day, in seconds: a timer cannot hold a much longer one. Throws a usage error. */
export function readWait(option: string, text: string): number {
  const seconds = readSeconds(option, text);
  if (seconds <= MAX_WAIT_SECONDS) return seconds;
  throw usageError(`${option} ${text} is longer than a day.`);
}

/** Reads a positive integer. Throws a usage error. */
export function readCount(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usageError(`${option} must be an integer of 1 or more.`);
}

/** Compares two sessions for a sorted list. */
export type Order = (one: ListedSession, other: ListedSession) => number;

/** Returns a comparison by keys that commas separate; `-` in front of a key reverses its order. Throws a usage error for an unknown key. */
export function readOrder(text: string): Order {
  const orders = text.split(',').map(readKey);
  return (one, other) =>
    orders.reduce((result, order) => result || order(one, other), 0) || compare(one.id, other.id);
}

function readKey(key: string): Order {
  const name = SORT_KEYS.find((known) => known === key.replace(/^-/, ''));
  if (name === undefined) {
    throw usageError(`--sort ${key} is not known.`, `Keys are ${SORT_KEYS.join(', ')}.`);
  }
  const sign = key.startsWith('-') ? -1 : 1;
  return (one, other) => sign * compare(sortValue(one, name), sortValue(other, name));
}

/** Returns the value to sort by. A session without a transaction comes before those that have one. */
function sortValue(session: ListedSession, key: SortKey): bigint | number | string {
  if (key === 'trx') return session.transaction?.seconds ?? -1;
  return key === 'rows' ? (session.transaction?.rowsModified ?? -1n) : session[key];
}

function hostTest(matches: Matches): Filter {
  return ({ host }) => matches(host, host.replace(/:\d+$/, ''));
}

function compare<T extends bigint | number | string>(one: T, other: T): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
