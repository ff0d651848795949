import { RE2JS, RE2JSSyntaxException } from 're2js';

/** Returns true if one of the names matches. A host, for example, has a name with its port and one without. */
export type Matches = (...names: readonly string[]) => boolean;

/** Why a pattern cannot be read: `unsupported` is a regular expression of JavaScript that RE2 does not have, such as look-around. */
export type PatternFault = 'empty' | 'flags' | 'expression' | 'unsupported' | 'size';

/** A pattern that cannot be read. `part` is the unsupported part of it, such as `(?=`. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
  readonly pattern: string;
  readonly fault: PatternFault;
  readonly part: string | undefined;

  constructor(pattern: string, fault: PatternFault, part?: string) {
    super(`The pattern ${pattern} cannot be read: ${fault}.`);
    this.pattern = pattern;
    this.fault = fault;
    this.part = part;
  }
}

/** The largest compiled expression, in instructions. With it, a statement of 100 characters takes at most a tenth of a second. */
const MAX_SIZE = 10_000;

/**
 * Reads patterns. A pattern is a glob over the whole text with only `*` and `?`, or `/regular expression/flags`; `!` in front excludes.
 * The result matches if any wanted pattern matches and no excluding pattern does. Without wanted patterns, every name is wanted.
 * RE2 runs all patterns, in time that grows linearly with the text. Throws a `PatternError` for an expression that RE2 cannot read, and for an empty pattern.
 */
export function matchesOf(given: readonly string[], isExact: boolean): Matches {
  const wanted: RE2JS[] = [];
  const excluded: RE2JS[] = [];
  for (const pattern of given) {
    const isExcluding = pattern.startsWith('!');
    const expression = expressionOf(isExcluding ? pattern.slice(1) : pattern, isExact);
    (isExcluding ? excluded : wanted).push(expression);
  }
  return (...names) => {
    const isOneOf = (patterns: readonly RE2JS[]): boolean =>
      patterns.some((pattern) => names.some((name) => pattern.test(name)));
    return (wanted.length === 0 || isOneOf(wanted)) && !isOneOf(excluded);
  };
}

function expressionOf(pattern: string, isExact: boolean): RE2JS {
  if (pattern === '') throw new PatternError(pattern, 'empty');
  const [, source, flags = ''] = /^\/(.+)\/([a-z]*)$/s.exec(pattern) ?? [];
  if (source === undefined) return compile(globSource(pattern), isExact ? 's' : 'si', pattern);
  if (!/^[imsu]*$/.test(flags)) throw new PatternError(pattern, 'flags');
  // The translation would read the back-reference \k<name> as text.
  if (/(?<!\\)(?:\\\\)*\\k</.test(source)) throw new PatternError(pattern, 'unsupported', '\\k');
  try {
    return compile(RE2JS.translateRegExp(source), flags, pattern);
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    const fault = isForJavaScript(source, flags) ? 'unsupported' : 'expression';
    throw new PatternError(pattern, fault, error.getPattern() ?? undefined);
  }
}

function compile(source: string, flags: string, pattern: string): RE2JS {
  // RE2 always reads Unicode characters.
  const inline = flags.replaceAll('u', '');
  const expression = RE2JS.compile(inline === '' ? source : `(?${inline})${source}`);
  if (expression.programSize() > MAX_SIZE) throw new PatternError(pattern, 'size');
  return expression;
}

function isForJavaScript(source: string, flags: string): boolean {
  try {
    new RegExp(source, flags);
    return true;
  } catch {
    return false;
  }
}

// Glob libraries match paths. They give parentheses, braces and slashes a meaning, and SQL statements are full of these.
function globSource(glob: string): string {
  const source = glob.replace(/[\\^$.*+?()[\]{}|/]/g, (character) =>
    character === '*' ? '.*' : character === '?' ? '.' : `\\${character}`,
  );
  return `^${source}$`;
}
