import { parseDuration } from './durations.ts';
import { usageError } from './failures.ts';
import type { ListedSession } from './listing.ts';
import { readPatterns, type Matches } from './patterns.ts';

/** The filters as they were given. Those of different kinds must all match. */
export interface FilterOptions {
  readonly user?: readonly string[];
  readonly db?: readonly string[];
  readonly host?: readonly string[];
  readonly command?: readonly string[];
  readonly state?: readonly string[];
  readonly info?: readonly string[];
  readonly minTime?: string;
}

/** Whether a session passes. */
export type Filter = (session: ListedSession) => boolean;

const TEXT_FILTERS = ['user', 'db', 'host', 'command', 'state', 'info'] as const;
/** Names that a server tells apart by case. */
const EXACT: ReadonlySet<string> = new Set(['user', 'db', 'host']);
const MAX_WAIT_SECONDS = 86_400;
export const SORT_KEYS = ['id', 'user', 'host', 'db', 'command', 'time', 'state'] as const;

/** Whether any filter was given. */
export function hasFilter(options: FilterOptions): boolean {
  return options.minTime !== undefined || TEXT_FILTERS.some((name) => options[name] !== undefined);
}

/** Reads the filters. Throws a usage error. */
export function readFilter(options: FilterOptions): Filter {
  const tests: Filter[] = TEXT_FILTERS.flatMap((name) => {
    const patterns = options[name];
    if (patterns === undefined) return [];
    const matches = readPatterns(`--${name}`, patterns, EXACT.has(name));
    return [name === 'host' ? hostTest(matches) : (session) => matches(session[name])];
  });
  if (options.minTime !== undefined) {
    const least = duration('--min-time', options.minTime);
    tests.push(({ time }) => time >= least);
  }
  return (session) => tests.every((passes) => passes(session));
}

/** Seconds of an option. Throws a usage error. */
function duration(option: string, text: string): number {
  const seconds = parseDuration(text);
  if (seconds !== undefined) return seconds;
  throw usageError(`${option} ${text} is no time.`, 'Times are written 90s, 5m, 1h30m or 2d.');
}

/** Seconds of an option that are waited for: at most a day, which timers can do. Throws a usage error. */
export function wait(option: string, text: string): number {
  const seconds = duration(option, text);
  if (seconds <= MAX_WAIT_SECONDS) return seconds;
  throw usageError(`${option} ${text} is longer than a day.`);
}

/** A positive integer of an option. Throws a usage error. */
export function count(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usageError(`${option} must be an integer of 1 or more.`);
}

/** An order by a key, `-` in front turns it. Throws a usage error. */
export function readOrder(key: string): (one: ListedSession, other: ListedSession) => number {
  const isDescending = key.startsWith('-');
  const name = SORT_KEYS.find((known) => known === key.replace(/^-/, ''));
  if (name === undefined) {
    throw usageError(`--sort ${key} is not known.`, `Keys are ${SORT_KEYS.join(', ')}.`);
  }
  const sign = isDescending ? -1 : 1;
  return (one, other) => sign * compare(one[name], other[name]) || compare(one.id, other.id);
}

function hostTest(matches: Matches): Filter {
  return ({ host }) => matches(host, host.replace(/:\d+$/, ''));
}

function compare<T extends bigint | number | string>(one: T, other: T): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
