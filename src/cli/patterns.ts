import { usageError } from './failures.ts';

/** Returns true if one of the names matches. A host, for example, has a name with its port and one without. */
export type Matches = (...names: readonly string[]) => boolean;

/**
 * Reads patterns. A pattern is a glob over the whole text with only `*` and `?`, or `/regular expression/flags`; `!` in front excludes.
 * The result matches if any wanted pattern matches and no excluding pattern does. Without wanted patterns, every name is wanted.
 * Throws a usage error for a bad expression, and for an empty pattern: an unset shell variable leaves one.
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
    throw usageError(`${option} is empty.`, `Use ${option} '/^$/' to match an empty value.`);
  }
  const [, source, flags] = /^\/(.+)\/([a-z]*)$/s.exec(pattern) ?? [];
  if (source === undefined) return new RegExp(globSource(pattern), isExact ? 'su' : 'sui');
  if (!/^[imsu]*$/.test(flags ?? '')) {
    throw usageError(`${option} ${pattern} has unknown flags.`, 'Use only i, m, s and u.');
  }
  try {
    return new RegExp(source, flags);
  } catch {
    throw usageError(`${option} ${pattern} is not a valid regular expression.`);
  }
}

// Glob libraries match paths. They give parentheses, braces and slashes a meaning, and SQL statements are full of these.
function globSource(glob: string): string {
  const source = glob.replace(/[\\^$.*+?()[\]{}|/]/g, (character) =>
    character === '*' ? '.*' : character === '?' ? '.' : `\\${character}`,
  );
  return `^${source}$`;
}
