import { usageError } from './failures.ts';
import { count, hasFilter, readFilter, wait, type Filter, type FilterOptions } from './filters.ts';
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
  readonly output?: string;
}

/** What they mean. */
export interface KillSettings {
  readonly passes: Filter;
  readonly max: number;
  readonly waitSeconds: number | undefined;
  readonly isJson: boolean;
  readonly isDryRun: boolean;
  readonly reason: string | undefined;
}

const DEFAULT_MAX = '100';

/** Reads the options. Throws a usage error, also when neither ids nor filters are given. */
export function readKillSettings(given: readonly string[], options: KillOptions): KillSettings {
  const isFiltered = hasFilter(options);
  if (options.all === true && (given.length > 0 || isFiltered)) {
    throw usageError('--all goes with no ids and no filters.');
  }
  if (given.length === 0 && !isFiltered && options.all !== true) {
    throw usageError('Whom? Give ids or filters.', 'To end all user sessions, say --all.');
  }
  const { reason } = options;
  if (reason !== undefined && !/^(?=\S)[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u.test(reason)) {
    throw usageError('--reason must be 1 to 256 visible characters.');
  }
  return {
    passes: readFilter(options),
    max: count('--max', options.max ?? DEFAULT_MAX),
    waitSeconds: options.wait === undefined ? undefined : wait('--wait', options.wait),
    isJson: readFormat(options.output ?? 'text', ['text', 'json']) === 'json',
    isDryRun: options.dryRun === true,
    reason,
  };
}

/** The ids that are given, with those on standard input for `-`; undefined when there are none. Throws a usage error. */
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
  throw usageError('No ids came on standard input: nobody was ended.');
}
