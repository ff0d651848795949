import { usageError } from '../failures.ts';
import { readFilter, TEXT_FILTERS, type Filter, type FilterOptions } from '../filters.ts';

const FLAGS = { 'in-transaction': 'inTransaction', waiting: 'waiting' } as const;
const TIMES = { 'min-time': 'minTime', 'min-trx-time': 'minTrxTime' } as const;
/** A word of a filter: quotes keep spaces together. */
const WORD = /(?:[^\s"']|"[^"]*"|'[^']*')+/g;

/** Formats filters from the command line as a text that `readFilterText` reads. */
export function filterTextOf(options: FilterOptions): string {
  return [
    ...TEXT_FILTERS.flatMap((name) =>
      (options[name] ?? []).map((pattern) => `${name}=${quoted(pattern)}`),
    ),
    ...Object.entries(TIMES).flatMap(([name, key]) => {
      const time = options[key];
      return time === undefined ? [] : [`${name}=${time}`];
    }),
    ...Object.entries(FLAGS).flatMap(([name, key]) => (options[key] === true ? [name] : [])),
  ].join(' ');
}

/**
 * Reads a filter such as `user=app min-time=5m waiting orders`: the filters of the command line without their dashes. Any other word must be
 * in the user, host, database, state or statement. Throws a usage error.
 */
export function readFilterText(text: string): Filter {
  if (text.replace(WORD, '').trim() !== '') {
    throw usageError(`A quote in the filter ${text} is not closed.`);
  }
  const patterns: Record<string, string[]> = {};
  const times: Record<string, string> = {};
  const flags: Record<string, true> = {};
  const words: string[] = [];
  for (const word of text.match(WORD) ?? []) {
    const [, name, value] = /^(?:--)?([a-z][a-z-]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name !== undefined && value !== undefined) {
      if (isIn(TEXT_FILTERS, name)) (patterns[name] ??= []).push(unquoted(value));
      else if (isKey(TIMES, name)) times[TIMES[name]] = unquoted(value);
      else throw usageError(`${name}= is not a filter.`, `Filters are ${KNOWN}. Quote other text.`);
    } else if (name !== undefined && isKey(FLAGS, name)) flags[FLAGS[name]] = true;
    else words.push(unquoted(word).toLowerCase());
  }
  const passes = readFilter({ ...patterns, ...times, ...flags });
  return (session) => {
    const { user, host, db, state, info } = session;
    const all = [user, host, db, state, info].join('\n').toLowerCase();
    return words.every((word) => all.includes(word)) && passes(session);
  };
}

/** Returns the pattern that only this text matches. */
export function exactPattern(text: string): string {
  if (/^[^*?/!,]+$/.test(text)) return quoted(text);
  const source = text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  return quoted(`/^${source}$/`);
}

const KNOWN = [...TEXT_FILTERS, ...Object.keys(TIMES), ...Object.keys(FLAGS)].join(', ');

function quoted(text: string): string {
  if (/^[^\s"']+$/.test(text)) return text;
  // A double quote stands between single quotes.
  const parts = text.split('"').map((part) => `"${part}"`);
  return parts.join(`'"'`);
}

function unquoted(word: string): string {
  return word.replace(
    /"([^"]*)"|'([^']*)'/g,
    (_all, one?: string, two?: string) => one ?? two ?? '',
  );
}

function isIn<T extends string>(names: readonly T[], name: string): name is T {
  return names.some((known) => known === name);
}

function isKey<T extends object>(names: T, name: string): name is keyof T & string {
  return Object.hasOwn(names, name);
}
