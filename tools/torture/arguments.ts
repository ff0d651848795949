import { randomInt } from 'node:crypto';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { REPOSITORY } from '../lib/launched-service.ts';
import type { ServerKind } from '../server-binaries.ts';
import { ACTS, type Act } from './nemesis.ts';

/** The usage of the command. */
export const USAGE = `usage: npm run torture [-- --operations N] [--minutes M] [--seed S] [--servers KINDS]
                       [--acts ACTS] [--callers N] [--source DIR] [--audit | --no-audit]
                       [--history FILE]

Many callers end sessions on database servers. Meanwhile, faults crash, pause, restart and disconnect
the servers. Then every answer is checked against what the servers and their clients observed.

  --operations  ends after this number of operations (default 100000)
  --minutes     ends after this number of minutes, if that is earlier
  --seed        the seed of all random decisions (default: a random one)
  --servers     the kinds of servers, separated by commas (default mariadb,mysql)
  --acts        the kinds of faults (default ${Object.keys(ACTS).join(',')})
  --callers     the number of concurrent callers (default 24)
  --source      the checkout to test, with a src/main.ts (default: this one)
  --audit       turns the audit file and its check on (default: if the checkout has src/audit)
  --history     a file for the whole history, one event per line
  --help        shows this text
`;

/** The settings of a torture run. */
export interface TortureSettings {
  readonly operations: number;
  readonly minutes: number;
  readonly seed: number;
  readonly servers: readonly ServerKind[];
  readonly acts: readonly Act[];
  readonly callers: number;
  readonly source: string;
  /** Undefined to audit only if the checkout has src/audit. */
  readonly audit: boolean | undefined;
  readonly history: string | undefined;
}

const KINDS: readonly ServerKind[] = ['mariadb', 'mysql'];

/** Reads the arguments, or returns undefined if they ask for help. Throws an `Error` for a wrong argument. */
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
  if (found.length !== names.length) {
    throw new Error(`--${name} accepts only ${known.join(', ')}.`);
  }
  return found;
}
