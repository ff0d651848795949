import { matchesOf, PatternError, type Matches } from '../client/index.ts';
import { usageError, type CommandError } from './failures.ts';

/** Reads the patterns of an option. Throws a usage error for a bad expression, and for an empty pattern: an unset shell variable leaves one. */
export function readPatterns(option: string, given: readonly string[], isExact: boolean): Matches {
  for (const pattern of given) checkPattern(option, pattern.replace(/^!/, ''));
  try {
    return matchesOf(given, isExact);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw faultOf(option, error);
  }
}

function faultOf(option: string, { pattern, fault, part = '' }: PatternError): CommandError {
  switch (fault) {
    case 'empty':
      return usageError(`${option} is empty.`, `Use ${option} '/^$/' to match an empty value.`);
    case 'flags':
      return usageError(`${option} ${pattern} has unknown flags.`, 'Use only i, m, s and u.');
    case 'expression':
      return usageError(`${option} ${pattern} is not a valid regular expression.`);
    case 'unsupported':
      return usageError(
        `${option} ${pattern} has ${part}, which the RE2 syntax does not allow.`,
        `RE2 has no look-around, no back-references and at most 1000 repetitions. Exclude with a second flag: ${option} '!/…/'.`,
      );
    case 'size':
      return usageError(
        `${option} ${pattern} is too large.`,
        `Use fewer repetitions, or repeat the flag: ${option} '/…/' ${option} '/…/'.`,
      );
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
