import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { readCommandLine } from '../../src/commands/command-line.ts';
import { PROGRAM } from '../support/built-package.ts';

function run(words: readonly string[]) {
  const command = [...PROGRAM, ...words];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
  return [status, stdout, stderr];
}

describe('the command line of session-control', () => {
  it.each([
    [[], { command: 'start', config: undefined }],
    [['start', '--config', 'a.yaml'], { command: 'start', config: 'a.yaml' }],
    [['-c', 'a.yaml'], { command: 'start', config: 'a.yaml' }],
    [['check'], { command: 'check', config: undefined, format: 'table' }],
    [['check', '-o', 'json'], { command: 'check', config: undefined, format: 'json' }],
    [['init'], { command: 'init', folder: undefined }],
    [['audit', 'verify', 'a', 'b'], { command: 'audit', files: ['a', 'b'] }],
    [['init', 'elsewhere'], { command: 'init', folder: 'elsewhere' }],
    [['health', '--config=a'], { command: 'health', config: 'a' }],
    [['check', '--help'], { command: 'help' }],
    [['-V'], { command: 'version' }],
  ])('is parsed from %j', (words, parsed) => {
    expect(readCommandLine(words)).toEqual(parsed);
  });

  it.each([
    [['serve'], "There is no command 'serve'"],
    [['chekc'], "There is no command 'chekc'; did you mean check?"],
    [['--confg', 'a'], "Unknown option '--confg'; did you mean --config?"],
    [['toString'], "There is no command 'toString'"],
    [['start', 'now'], "Unexpected argument 'now'"],
    [['init', 'one', 'two'], "Unexpected argument 'two'"],
    [['init', '--config', 'a'], "'init' has no option '--config'"],
    [['start', '-o', 'json'], "'start' has no option '--output'"],
    [['check', '-o', 'yaml'], "'--output' must be table or json"],
    [['audit', 'verify'], "'audit' needs the word verify and at least one file"],
    [['--colour'], "Unknown option '--colour'"],
    [['check', '--config'], expect.stringMatching(/^Option \S*.*--config.* argument missing$/)],
    [['check', '--config', '-o'], expect.stringMatching(/^Option .*--config.* is ambiguous$/)],
  ])('is refused with one sentence for %j', (words, problem) => {
    expect(readCommandLine(words)).toEqual({ command: 'wrong', problem });
  });

  it('prints one line and exits with 64 if it is wrong', () => {
    const line = "session-control: There is no command 'serve'. See `session-control --help`.\n";
    expect(run(['serve'])).toEqual([64, '', line]);
    const meant =
      "session-control: There is no command 'strat'; did you mean start? See `session-control --help`.\n";
    expect(run(['strat'])).toEqual([64, '', meant]);
  });

  it('prints the help, and the version of the package', () => {
    expect(run(['--help'])).toEqual([0, expect.stringMatching(/^ {2}check {4}try/m), '']);
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(run(['--version'])).toEqual([0, `session-control ${version}\n`, '']);
  });
});
