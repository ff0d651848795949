import { isNativeError } from 'node:util/types';
import { createContext, Script } from 'node:vm';
import { Interrupted, usageError } from './failures.ts';

const LIMIT_MS = 5000;
const SCRIPT = new Script('work()');

/**
 * Runs work that may hang in a regular expression of the user. Throws a usage error if it takes longer than 5 s, and `Interrupted` after Ctrl-C.
 * Nothing else could stop it: a regular expression lets no timer run, and no signal handler.
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
      'Simplify the regular expressions: a repetition inside a repetition, such as (a+)+, can take for ever.',
    );
  }
}
