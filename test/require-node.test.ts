import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { PACKAGE } from './support/built-package.ts';

const { bin, engines, scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly bin: Readonly<Record<string, string>>;
  readonly engines: { readonly node: string };
  readonly scripts: Readonly<Record<string, string>>;
};
const tools = Object.values(scripts).filter((script) => script.includes(' tools/'));
const entryPoints = [
  ...Object.values(bin).map((path) => [join(PACKAGE, path)]),
  ...tools.map((script) => script.replace('exec node ', '').split(' ')),
];

/** Runs an entry point on this Node.js with another version number. */
function run(version: string, words: readonly string[]): readonly [number | null, string, string] {
  const fake = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
  const all = ['--import', `data:text/javascript,${encodeURIComponent(fake)}`, ...words, '--help'];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  return [status, stdout, stderr];
}

describe('an old Node.js', () => {
  it.each(entryPoints.map((words) => ({ words, entry: words.at(-1) })))(
    'is named in one sentence by $entry',
    ({ words }) => {
      for (const version of ['18.20.8', '20.18.3']) {
        expect(run(version, words)).toEqual([
          78,
          '',
          `session-control needs Node.js 20.19 or newer, but ${process.execPath} is ${version}. Install a newer one.\n`,
        ]);
      }
    },
  );

  it('is older than the package allows', () => {
    expect(engines.node).toBe('>=20.19');
    expect(tools.length).toBeGreaterThan(3);
  });
});

describe('a supported Node.js', () => {
  it.each(['20.19.0', '22.0.0', '100.1.0'])('runs the commands: %s', (version) => {
    for (const words of entryPoints.slice(0, 2)) {
      expect(run(version, words)).toEqual([0, expect.stringContaining('Usage'), '']);
    }
  });
});
