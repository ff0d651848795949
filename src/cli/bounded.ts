import { isNativeError } from 'node:util/types';
import { createContext, Script } from 'node:vm';
import { Interrupted, usageError } from './failures.ts';

const LIMIT_MS = 5000;
const SCRIPT = new Script('work()');

/**
 * Runs the filters of the user. Throws a usage error if they take longer than 5 s, and `Interrupted` after Ctrl-C.
 * RE2 ends, but 10,000 statements can take it a minute if its automaton grows with each character. Until then, no timer and no signal handler runs.
 */
export function bounded<T>(work: () => T): T {
  try {
    const options = { timeout: LIMIT_MS, breakOnSigint: true };
    return SCRIPT.runInContext(createContext({ work }), options) as T;
  } catch (error) {
    const code = isNativeError(error) && 'code' in error ? error.code : undefined;
    if (code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED') throw new Interrupted();
    if (code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw usageError(
      `The filters take longer than ${LIMIT_MS / 1000} s: no session was ended.`,
      'Simplify the regular expressions: repetitions with a count, such as .{1,90}, take the longest.',
    );
  }
}
