import { parseArgs } from 'node:util';
import type { ServerKind } from '../server-binaries.ts';

export const USAGE = `usage: npm run bench [-- --only a,b] [--rounds N] [--server mysql|mariadb] [--crowd N] [--profile]

Measures the service beside what it is made of and what it replaces, by turns in one run, on a
MariaDB and a MySQL that it starts for that. Writes bench/results.json and bench/results.svg
when everything was measured.

  --only     some of the measurements, with commas between:
               a  one kill              b  1,000 ids in one request
               c  one among 10,000      d  100 callers at once
               e  the list of 10,000    f  start and memory
  --rounds   how many turns (10); a tenth of the time with 1
  --server   only this one of the two
  --crowd    how many sessions a crowded node has (10000), or as many as the machine can hold
  --profile  measures nothing; shows where the service's processor time goes in a and d
  --help     shows this text
`;

export const MEASUREMENTS = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
export type Measurement = (typeof MEASUREMENTS)[number];

export interface Settings {
  readonly only: ReadonlySet<Measurement>;
  readonly rounds: number;
  readonly servers: readonly ServerKind[];
  readonly crowd: number;
  readonly isProfileWanted: boolean;
  readonly isHelpWanted: boolean;
}

const SERVERS: readonly ServerKind[] = ['mariadb', 'mysql'];

/** What the command line asks for. Throws an error whose message says what is wrong with it. */
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

/** Whether nothing is left out, so that the results may be kept. */
export function isWhole({ only, servers }: Settings): boolean {
  return only.size === MEASUREMENTS.length && servers.length === SERVERS.length;
}

function measurement(name: string): Measurement {
  const known = MEASUREMENTS.find((one) => one === name);
  if (known === undefined) throw new Error(`--only knows ${MEASUREMENTS.join(', ')}.`);
  return known;
}

function positiveInteger(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new Error(`${option} must be an integer above 0.`);
  }
  return number;
}
