import { usageError } from './failures.ts';

/** Whether something matches that goes by these names. */
export type Matches = (...names: readonly string[]) => boolean;

/**
 * Reads patterns: a glob over the whole text, in which only `*` and `?` are special, or `/regular expression/flags`. With `!` in front
 * it excludes. Something matches if one of the others matches one of its names, or there are none, and none that excludes does.
 * Throws a usage error for an empty pattern, which is what an unset variable leaves behind, and for a bad expression.
 */
export function readPatterns(option: string, given: readonly string[], isExact: boolean): Matches {
  const wanted: RegExp[] = [];
  const excluded: RegExp[] = [];
  for (const pattern of given) {
    const isExcluding = pattern.startsWith('!');
    const expression = readPattern(option, isExcluding ? pattern.slice(1) : pattern, isExact);
    (isExcluding ? excluded : wanted).push(expression);
  }
  return (...names) => {
    const isOneOf = (patterns: readonly RegExp[]): boolean =>
      patterns.some((pattern) => names.some((name) => pattern.test(name)));
    return (wanted.length === 0 || isOneOf(wanted)) && !isOneOf(excluded);
  };
}

function readPattern(option: string, pattern: string, isExact: boolean): RegExp {
  if (pattern === '') {
    throw usageError(`${option} is empty.`, `Use ${option} '/^$/' for those who have none.`);
  }
  const [, source, flags] = /^\/(.+)\/([a-z]*)$/s.exec(pattern) ?? [];
  if (source === undefined) return new RegExp(globSource(pattern), isExact ? 'su' : 'sui');
  if (!/^[imsu]*$/.test(flags ?? '')) {
    throw usageError(`${option} ${pattern} has flags other than i, m, s and u.`);
  }
  try {
    return new RegExp(source, flags);
  } catch {
    throw usageError(`${option} ${pattern} is no regular expression.`);
  }
}

// A library's globs are about paths: there, parentheses, braces and slashes mean something, and statements are full of them.
function globSource(glob: string): string {
  const source = glob.replace(/[\\^$.*+?()[\]{}|/]/g, (character) =>
    character === '*' ? '.*' : character === '?' ? '.' : `\\${character}`,
  );
  return `^${source}$`;
}
