import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readConfiguration } from '../../src/configuration.ts';
import { PROGRAM } from '../support/built-package.ts';
import { runInit } from '../support/commands.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'session-control-init-'));
});
afterEach(() => {
  rmSync(home, { recursive: true });
});

describe('session-control init', () => {
  it('writes a configuration that is valid once its variables are set', () => {
    const folder = join(home, 'new/config');
    const { code, output, messages } = runInit(folder);
    expect([code, messages]).toEqual([0, '']);

    const variables = [...output.matchAll(/^ {2}export (\w+)=(\S+)$/gm)];
    const environment = Object.fromEntries(
      variables.map(([, name = '', value = '']): [string, string] => [name, value]),
    );
    const read = readConfiguration(join(folder, 'service.yaml'), environment);
    expect(Object.keys(environment)).toEqual(['NODE_HOST', 'NODE_PASSWORD']);
    expect(read).toMatchObject({
      config: {
        server: { host: '127.0.0.1', port: 8080 },
        audit: { file: join(folder, 'audit/audit.jsonl'), require_reason: false },
      },
      nodes: [{ host: '127.0.0.1', password: environment['NODE_PASSWORD'] }],
    });
    expect(output).toContain(`session-control check --config ${folder}/service.yaml`);
  });

  it.each([0o000, 0o027, 0o077])(
    'makes a folder with mode 750 for the audit file, with the umask %o',
    (umask) => {
      const before = process.umask(umask);
      try {
        const { output } = runInit(join(home, 'new'));
        expect(output).toContain(`Every kill is on record in ${home}/new/audit/audit.jsonl.`);
      } finally {
        process.umask(before);
      }
      expect(statSync(join(home, 'new/audit')).mode & 0o777).toBe(0o750);
      expect(readdirSync(join(home, 'new/audit'))).toEqual([]);
    },
  );

  it('leaves an audit folder that exists as it is', () => {
    mkdirSync(join(home, 'audit'), { mode: 0o700 });
    writeFileSync(join(home, 'audit/audit.jsonl'), 'mine');
    expect(runInit(home).code).toBe(0);
    expect(statSync(join(home, 'audit')).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(home, 'audit/audit.jsonl'), 'utf8')).toBe('mine');
  });

  it('makes a new token each time, prints it once, and writes only its hash', () => {
    const [one, other] = ['one', 'other'].map((name) => {
      const { output } = runInit(join(home, name));
      const written = readFileSync(join(home, name, 'service.yaml'), 'utf8');
      const [token = ''] = /(?<=^ {2})[0-9a-f]{64}$/m.exec(output) ?? [];
      expect(output.split(token)).toHaveLength(2);
      expect(written).not.toContain(token);
      expect(written).toContain(
        `sha256: ${createHash('sha256').update(token).digest('hex')}\n      user: ops`,
      );
      return token;
    });
    expect(one).not.toBe(other);
  });

  it('writes no setting that is only for trials or for docker compose', () => {
    runInit(home);
    const written = ['service.yaml', 'nodes.yaml'].map((name) =>
      readFileSync(join(home, name), 'utf8'),
    );
    expect(written.join('')).not.toMatch(/trial|docker|compose|MYSQL_HOST|MARIADB_HOST/);
    expect(written.join('').match(/\$\{\w+\}/g)).toEqual([
      '${NAME}',
      '${SK_OPS}',
      '${IAM_SERVICE_TOKEN}',
      '${NAME}',
      '${NODE_HOST}',
      '${NODE_PASSWORD}',
    ]);
  });

  it.each(['service.yaml', 'nodes.yaml'])('overwrites no %s, and changes no file', (name) => {
    const folder = join(home, 'config');
    mkdirSync(folder);
    writeFileSync(join(folder, name), 'mine');
    const { code, output, messages } = runInit(folder);
    expect([code, output, messages]).toEqual([
      73,
      '',
      `session-control: ${folder}/${name} exists already. Nothing was written.\n`,
    ]);
    expect(readdirSync(folder)).toEqual([name]);
    expect(readFileSync(join(folder, name), 'utf8')).toBe('mine');
  });

  it('quotes a folder name with a space, and lets only the owner and the group read nodes.yaml', () => {
    const folder = join(home, "what's new");
    const { output } = runInit(folder);
    const [, quoted = ''] = /check --config (.*)/.exec(output) ?? [];
    const { stdout } = spawnSync('sh', ['-c', `ls ${quoted}`], { encoding: 'utf8' });
    expect(stdout).toBe(`${folder}/service.yaml\n`);
    // The umask of the process may remove more bits.
    expect(statSync(join(folder, 'nodes.yaml')).mode & 0o137).toBe(0);
  });

  it('leaves no file behind if the disk is full', () => {
    const folder = join(home, 'a/b');
    // With this limit, a program can create an empty file but not write to it.
    const limited = 'trap \'\' XFSZ; ulimit -f 0; exec "$@"';
    const words = [process.execPath, ...PROGRAM, 'init', folder];
    const { status, stderr } = spawnSync('sh', ['-c', limited, 'sh', ...words], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([
      73,
      `session-control: ${folder} cannot be written (EFBIG). Nothing was written.\n`,
    ]);
    expect(readdirSync(home)).toEqual([]);
  });

  it('reports the folder in which it cannot write', () => {
    writeFileSync(join(home, 'file'), '');
    const folder = join(home, 'file/config');
    expect(runInit(folder)).toEqual({
      code: 73,
      output: '',
      messages: `session-control: ${folder} cannot be written (ENOTDIR). Nothing was written.\n`,
    });
  });
});

describe('the SQL of docker compose', () => {
  it.each(['mysql', 'mariadb'])(
    'has the same grants on %s as the SQL in deploy/account',
    (flavour) => {
      const grantsIn = (folder: string): string[] =>
        readFileSync(`deploy/${folder}/${flavour}.sql`, 'utf8')
          .split('\n')
          .filter((line) => /^GRANT .* TO session_control@/.test(line));
      expect(grantsIn('init')).toEqual(grantsIn('account'));
    },
  );
});
