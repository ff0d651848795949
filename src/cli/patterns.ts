import { matchesOf, PatternError, type Matches } from '../client/index.ts';
import { usageError } from './failures.ts';

/** Reads the patterns of an option. Throws a usage error for a bad expression, and for an empty pattern: an unset shell variable leaves one. */
export function readPatterns(option: string, given: readonly string[], isExact: boolean): Matches {
  for (const pattern of given) checkPattern(option, pattern.replace(/^!/, ''));
  try {
    return matchesOf(given, isExact);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    const { pattern, fault } = error;
    if (fault === 'empty') {
      throw usageError(`${option} is empty.`, `Use ${option} '/^$/' to match an empty value.`);
    }
    if (fault === 'flags') {
      throw usageError(`${option} ${pattern} has unknown flags.`, 'Use only i, m, s and u.');
    }
    throw usageError(`${option} ${pattern} is not a valid regular expression.`);
  }
}

/** Options whose values hold commas only by mistake, unlike statements and states. */
const ONE_NAME = /^--(user|db|host|command)$/;

/** Throws a usage error for a value that is readable, but means something else than its author thinks. */
function checkPattern(option: string, pattern: string): void {
  if (/^\/.+\/[a-z]*$/s.test(pattern)) return;
  // A statement can begin with a comment.
  if (/^\/(?!\*)/.test(pattern)) {
    throw usageError(
      `${option} ${pattern} is an unclosed regular expression.`,
      `Write ${option} '/…/' for an expression, or ${option} '?…' for a text that begins with a slash.`,
    );
  }
  if (ONE_NAME.test(option) && pattern.includes(',')) {
    const each = pattern.split(',').map((name) => `${option} ${name.trim()}`);
    throw usageError(
      `${option} ${pattern} is one name with a comma.`,
      `Repeat the flag: ${each.join(' ')}. Write ? for a comma that is meant.`,
    );
  }
}
