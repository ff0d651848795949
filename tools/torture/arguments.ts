import { randomInt } from 'node:crypto';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { REPOSITORY } from '../lib/launched-service.ts';
import type { ServerKind } from '../server-binaries.ts';
import { ACTS, type Act } from './nemesis.ts';

export const USAGE = `usage: npm run torture [-- --operations N] [--minutes M] [--seed S] [--servers KINDS]
                       [--acts ACTS] [--callers N] [--source DIR] [--audit | --no-audit]
                       [--history FILE]

Has many callers end sessions on servers that are crashed, paused, restarted and cut off meanwhile,
and holds every answer against what the servers and their clients saw.

  --operations  ends after so many operations (100000)
  --minutes     ends after so many minutes, if that is earlier
  --seed        decides what happens; a random one by default
  --servers     which servers, with commas between them (mariadb,mysql)
  --acts        what may be done to them (${Object.keys(ACTS).join(',')})
  --callers     how many call at once (24)
  --source      the tree that is put to the test, with a src/main.ts (this one)
  --audit       whether the service keeps an audit file and that is checked (if the tree has src/audit)
  --history     a file to which the whole history goes, one event a line
  --help        shows this text
`;

/** What the torture test is to do. */
export interface TortureSettings {
  readonly operations: number;
  readonly minutes: number;
  readonly seed: number;
  readonly servers: readonly ServerKind[];
  readonly acts: readonly Act[];
  readonly callers: number;
  readonly source: string;
  /** Undefined: if the tree has src/audit. */
  readonly audit: boolean | undefined;
  readonly history: string | undefined;
}

const KINDS: readonly ServerKind[] = ['mariadb', 'mysql'];

/** The settings that these arguments ask for; undefined for the usage. Throws an `Error` that says what is wrong with them. */
export function readArguments(args: readonly string[]): TortureSettings | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    allowNegative: true,
    options: {
      operations: { ...text, default: '100000' },
      minutes: { ...text, default: 'Infinity' },
      seed: { ...text, default: String(randomInt(1_000_000)) },
      servers: { ...text, default: KINDS.join(',') },
      acts: { ...text, default: Object.keys(ACTS).join(',') },
      callers: { ...text, default: '24' },
      source: { ...text, default: REPOSITORY },
      audit: { type: 'boolean' },
      history: text,
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    operations: numberFrom('operations', values.operations),
    minutes: numberFrom('minutes', values.minutes),
    seed: numberFrom('seed', values.seed),
    servers: namesFrom('servers', values.servers, KINDS),
    acts: namesFrom('acts', values.acts, Object.keys(ACTS) as Act[]),
    callers: numberFrom('callers', values.callers),
    source: resolve(values.source),
    audit: values.audit,
    history: values.history,
  };
}

function numberFrom(name: string, text: string): number {
  const number = Number(text);
  if (text.trim() === '' || Number.isNaN(number) || number < 0) {
    throw new Error(`--${name} must be a number of 0 or more.`);
  }
  return number;
}

function namesFrom<T extends string>(name: string, text: string, known: readonly T[]): T[] {
  const names = text.split(',').map((part) => part.trim());
  const found = known.filter((one) => names.includes(one));
  if (found.length !== names.length) throw new Error(`--${name}: only ${known.join(', ')}.`);
  return found;
}
