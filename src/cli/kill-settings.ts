import { usageError } from './failures.ts';
import {
  hasFilter,
  readCount,
  readFilter,
  readWait,
  transactionFilter,
  type Filter,
  type FilterOptions,
} from './filters.ts';
import { readFormat } from './formats.ts';
import { readAll, readIds, type GivenId } from './session-ids.ts';
import type { ConnectionOptions } from './settings.ts';
import type { CliContext } from './cli-context.ts';

/** The options of `kill`. */
export interface KillOptions extends ConnectionOptions, FilterOptions {
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly max?: string;
  readonly wait?: string;
  readonly reason?: string;
  readonly blockerOf?: readonly string[];
  readonly query?: boolean;
  readonly maxRollbackRows?: string;
  readonly force?: boolean;
  readonly output?: string;
}

/** The options of `kill`, read and checked. */
export interface KillSettings {
  readonly passes: Filter;
  readonly max: number;
  readonly waitSeconds: number | undefined;
  readonly isJson: boolean;
  readonly isDryRun: boolean;
  readonly reason: string | undefined;
  /** The sessions whose root blockers are to end; undefined without --blocker-of. */
  readonly blockerOf: readonly GivenId[] | undefined;
  readonly scope: 'session' | 'statement';
  /** The most rows that a kill may have to undo; undefined with --force. */
  readonly maxRollbackRows: number | undefined;
  /** The flag of a filter that needs to know the transactions. */
  readonly transactionFilter: string | undefined;
}

const DEFAULT_MAX = '100';
const DEFAULT_MAX_ROLLBACK_ROWS = '1000000';

/** Reads the options of `kill`. Throws a usage error for a bad option, or if ids, filters and `--all` are all missing. */
export function readKillSettings(given: readonly string[], options: KillOptions): KillSettings {
  const isFiltered = hasFilter(options);
  const blockerOf = options.blockerOf === undefined ? undefined : readIds(options.blockerOf);
  if (blockerOf !== undefined && (given.length > 0 || options.all === true)) {
    throw usageError('--blocker-of cannot be combined with ids or --all.');
  }
  if (blockerOf?.length === 0) throw usageError('--blocker-of is empty.', 'Give a session id.');
  if (options.all === true && (given.length > 0 || isFiltered)) {
    throw usageError('--all cannot be combined with ids or filters.');
  }
  if (given.length === 0 && !isFiltered && options.all !== true && blockerOf === undefined) {
    throw usageError(
      'The sessions to end are missing.',
      'Give ids or filters, or --all to end all user sessions, or --blocker-of.',
    );
  }
  const { reason } = options;
  if (reason !== undefined && !/^(?=\S)[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u.test(reason)) {
    throw usageError('--reason must be 1 to 256 visible characters.');
  }
  return {
    passes: readFilter(options),
    max: readCount('--max', options.max ?? DEFAULT_MAX),
    waitSeconds: options.wait === undefined ? undefined : readWait('--wait', options.wait),
    isJson: readFormat(options.output ?? 'text', ['text', 'json']) === 'json',
    isDryRun: options.dryRun === true,
    reason,
    blockerOf,
    scope: options.query === true ? 'statement' : 'session',
    maxRollbackRows:
      options.force === true
        ? undefined
        : readCount('--max-rollback-rows', options.maxRollbackRows ?? DEFAULT_MAX_ROLLBACK_ROWS),
    transactionFilter: transactionFilter(options),
  };
}

/**
 * Reads the ids from the command line, and from standard input if one of them is `-`. Returns undefined if no ids were given.
 * Throws a usage error for a bad id, or if standard input holds no id.
 */
export async function idsOf(
  given: readonly string[],
  { input, signal }: CliContext,
): Promise<readonly GivenId[] | undefined> {
  if (given.length === 0) return undefined;
  const texts = given.includes('-')
    ? [...given.filter((word) => word !== '-'), await readAll(input, signal)]
    : given;
  const ids = readIds(texts);
  if (ids.length > 0) return ids;
  throw usageError('Standard input holds no session ids: no session was ended.');
}
