import { parseArgs } from 'node:util';
import type { ServerKind } from '../server-binaries.ts';

/** The usage of the command. */
export const USAGE = `usage: npm run bench [-- --only a,b] [--rounds N] [--server mysql|mariadb] [--crowd N] [--profile]

Compares the service with its parts and with other tools, in turns in one run. Starts a MariaDB and a
MySQL for this. A run of all measurements writes bench/results.json and bench/results.svg.

  --only     some of the measurements, separated by commas:
               a  one kill                    b  1,000 ids in one request
               c  one kill among 10,000       d  100 concurrent callers
               e  the list of 10,000          f  start and memory
               g  1,000 waiters               h  the list of 10,000 with transactions
               i  the history of a million kills
  --rounds   the number of turns (default 10)
  --server   only this server
  --crowd    the number of sessions on a crowded node (default 10000), if the machine can hold them
  --profile  shows the use of the processor time in a and d, instead of the measurements
  --help     shows this text
`;

/** The letters of the measurements. */
export const MEASUREMENTS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'] as const;
export type Measurement = (typeof MEASUREMENTS)[number];

/** The settings of a run. */
export interface Settings {
  readonly only: ReadonlySet<Measurement>;
  readonly rounds: number;
  readonly servers: readonly ServerKind[];
  readonly crowd: number;
  readonly isProfileWanted: boolean;
  readonly isHelpWanted: boolean;
}

const SERVERS: readonly ServerKind[] = ['mariadb', 'mysql'];

/** Reads the arguments. Throws an `Error` for a wrong argument. */
export function readArguments(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', default: MEASUREMENTS.join(',') },
      rounds: { type: 'string', default: '10' },
      server: { type: 'string' },
      crowd: { type: 'string', default: '10000' },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const servers = SERVERS.filter((kind) => values.server === undefined || values.server === kind);
  if (servers.length === 0) throw new Error('--server must be mysql or mariadb.');
  return {
    only: new Set(values.only.split(',').map(measurement)),
    rounds: positiveInteger('--rounds', values.rounds),
    servers,
    crowd: positiveInteger('--crowd', values.crowd),
    isProfileWanted: values.profile,
    isHelpWanted: values.help,
  };
}

/** True if all measurements run on both servers, so that the results can be saved. */
export function isWhole({ only, servers }: Settings): boolean {
  return only.size === MEASUREMENTS.length && servers.length === SERVERS.length;
}

function measurement(name: string): Measurement {
  const known = MEASUREMENTS.find((one) => one === name);
  if (known === undefined) throw new Error(`--only accepts only ${MEASUREMENTS.join(', ')}.`);
  return known;
}

function positiveInteger(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new Error(`${option} must be an integer above 0.`);
  }
  return number;
}
