/** Returns true if one of the names matches. A host, for example, has a name with its port and one without. */
export type Matches = (...names: readonly string[]) => boolean;

/** A pattern that cannot be read. `fault` says why: it is empty, has unknown flags, or is no regular expression. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
  readonly pattern: string;
  readonly fault: 'empty' | 'flags' | 'expression';

  constructor(pattern: string, fault: PatternError['fault']) {
    super(`The pattern ${pattern} cannot be read: ${fault}.`);
    this.pattern = pattern;
    this.fault = fault;
  }
}

/**
 * Reads patterns. A pattern is a glob over the whole text with only `*` and `?`, or `/regular expression/flags`; `!` in front excludes.
 * The result matches if any wanted pattern matches and no excluding pattern does. Without wanted patterns, every name is wanted.
 * Throws a `PatternError` for a bad expression, and for an empty pattern.
 */
export function matchesOf(given: readonly string[], isExact: boolean): Matches {
  const wanted: RegExp[] = [];
  const excluded: RegExp[] = [];
  for (const pattern of given) {
    const isExcluding = pattern.startsWith('!');
    const expression = expressionOf(isExcluding ? pattern.slice(1) : pattern, isExact);
    (isExcluding ? excluded : wanted).push(expression);
  }
  return (...names) => {
    const isOneOf = (patterns: readonly RegExp[]): boolean =>
      patterns.some((pattern) => names.some((name) => pattern.test(name)));
    return (wanted.length === 0 || isOneOf(wanted)) && !isOneOf(excluded);
  };
}

function expressionOf(pattern: string, isExact: boolean): RegExp {
  if (pattern === '') throw new PatternError(pattern, 'empty');
  const [, source, flags] = /^\/(.+)\/([a-z]*)$/s.exec(pattern) ?? [];
  if (source === undefined) return new RegExp(globSource(pattern), isExact ? 'su' : 'sui');
  if (!/^[imsu]*$/.test(flags ?? '')) throw new PatternError(pattern, 'flags');
  try {
    return new RegExp(source, flags);
  } catch {
    throw new PatternError(pattern, 'expression');
  }
}

// Glob libraries match paths. They give parentheses, braces and slashes a meaning, and SQL statements are full of these.
function globSource(glob: string): string {
  const source = glob.replace(/[\\^$.*+?()[\]{}|/]/g, (character) =>
    character === '*' ? '.*' : character === '?' ? '.' : `\\${character}`,
  );
  return `^${source}$`;
}
