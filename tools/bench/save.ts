import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { REPOSITORY } from '../lib/launched-service.ts';
import { chart } from './chart.ts';
import type { Results } from './results.ts';

/** Writes bench/results.json and bench/results.svg. Resolves to a sentence about them. */
export async function save(
  { lanes, figures, notes }: Results,
  versions: Readonly<Record<string, string>>,
  rounds: number,
): Promise<string> {
  const folder = join(REPOSITORY, 'bench');
  mkdirSync(folder, { recursive: true });
  const run = {
    date: new Date().toISOString(),
    commit: await commit(),
    node: process.version,
    machine: machine(),
    servers: versions,
    rounds,
  };
  const results = { ...run, notes, figures, lanes };
  const file = join(folder, 'results.json');
  const options = await resolveConfig(file);
  writeFileSync(file, await format(JSON.stringify(results), { ...options, filepath: file }));
  writeFileSync(join(folder, 'results.svg'), `${chart(lanes)}\n`);
  return 'bench/results.json and bench/results.svg are written.';
}

/** Describes the machine, without its name and without paths. */
function machine(): object {
  const model = cpus()[0]?.model.trim() ?? '';
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  return { processor: model, cores: cpus().length, memoryGb, system: process.platform };
}

/** Returns the short hash of the commit, with a plus if src or package-lock.json differ from it. */
async function commit(): Promise<string> {
  const git = async (...args: readonly string[]): Promise<string> =>
    (await promisify(execFile)('git', [...args], { cwd: REPOSITORY })).stdout.trim();
  try {
    const changes = await git('status', '--porcelain', '--', 'src', 'package-lock.json');
    return `${await git('rev-parse', '--short', 'HEAD')}${changes === '' ? '' : '+'}`;
  } catch {
    return 'unknown';
  }
}
