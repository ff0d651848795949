import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { Home } from './home.ts';

const home = new Home();

async function script(shell: string): Promise<string> {
  const { code, output } = await home.run(['completion', shell]);
  expect(code).toBe(0);
  return output;
}

describe('the completion script for bash', () => {
  it.each<[readonly string[], readonly string[]]>([
    [['k'], ['kill']],
    [
      ['context', ''],
      ['add', 'use', 'show', 'remove', 'list', 'help'],
    ],
    [['kill', '--us'], ['--user']],
    [['kill', '12', '--wai'], ['--wait']],
    [['--project', 'list', 'kill', '--dry'], ['--dry-run']],
    [['list', '--sort', '-t'], ['-time']],
    [
      ['list', '-o', ''],
      ['table', 'wide', 'json', 'yaml', 'csv', 'ids'],
    ],
    [
      ['kill', '12', '--output', ''],
      ['text', 'json'],
    ],
    [['kill', '--user', ''], []],
    [['context', 'add', 'x', '--language', 'z'], ['zh-cn']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['--ca-file', 'tsconfig.bui'], ['tsconfig.build.json']],
  ])('completes %j with %j', async (words, found) => {
    const line = ['sessionctl', ...words].map((word) => `'${word}'`).join(' ');
    const { stdout, stderr } = spawnSync(
      'bash',
      [
        '--norc',
        '-c',
        `${await script('bash')}
COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _sessionctl
printf '%s\\n' "\${COMPREPLY[@]}"`,
      ],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    const offered = stdout.split('\n').filter((word) => word !== '');
    expect(offered.filter((word) => !/^-/.test(word) || found.includes(word))).toEqual(found);
  });
});

describe('the completion script for another shell', () => {
  it('is the bash script for zsh', async () => {
    expect(await script('zsh')).toMatch(
      /^#compdef sessionctl\nautoload .* bashcompinit\n_sessionctl\(\)/,
    );
  });

  it('has each command and option for fish', async () => {
    const lines = (await script('fish')).split('\n');
    expect(lines).toContain(
      "complete -c sessionctl -n '__fish_use_subcommand' -a kill -d 'end user sessions, by id or by filter'",
    );
    expect(lines).toContainEqual(expect.stringMatching(/from kill' .*-l dry-run -d/));
    expect(lines).toContainEqual(expect.stringMatching(/from add' .*-l ca-file -r -F -d/));
    expect(lines).toContainEqual(
      expect.stringMatching(/from list' .*-s o -l output -x -a 'table wide json/),
    );
  });
});
