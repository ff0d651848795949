import { matchesOf, PatternError, type Matches } from '../client/index.ts';
import { usageError } from './failures.ts';

/** Reads the patterns of an option. Throws a usage error for a bad expression, and for an empty pattern: an unset shell variable leaves one. */
export function readPatterns(option: string, given: readonly string[], isExact: boolean): Matches {
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
