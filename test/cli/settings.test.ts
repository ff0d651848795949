import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { chmodSync, lstatSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { answer, NO_NODES, ScriptedApi, type Came } from '../support/scripted-api.ts';
import { until } from '../support/until.ts';
import { Home } from './home.ts';

const [iam, api] = [new ScriptedApi(), new ScriptedApi()];
let home: Home;
beforeAll(async () => {
  api.nodes = NO_NODES;
  await Promise.all([iam.start(), api.start()]);
});
beforeEach(() => {
  api.acts = [answer(200, '{"processes":[],"total_count":0}')];
  for (const { came } of [iam, api]) came.splice(0);
  home = new Home();
});
afterAll(() => {
  iam.stop();
  api.stop();
});

const LACKS =
  'It lacks --project, --node, credentials: give each command what is missing, or add the context again with --replace.\n';

function configure(text: string): void {
  mkdirSync(dirname(home.configFile), { recursive: true });
  writeFileSync(home.configFile, text, { mode: 0o600 });
}

function context(credentials: string, more = ''): string {
  return `
current: one
contexts:
  one:
    # the comment stays
    endpoint: ${api.endpoint}
    project: pc
    instance: ic
    nodes: [nc]
    credentials: ${credentials}
    ${more}
`;
}

/** Runs `list` with these flags and returns the request that it sent. */
async function requestOf(...words: string[]): Promise<Came> {
  expect(await home.run(['list', ...words])).toMatchObject({ code: 0 });
  return api.came.at(-1) as Came;
}

describe('the settings of a command', () => {
  it('come from the context', async () => {
    configure(context('{ token: from-the-context }', 'language: zh-cn'));
    const { url, headers } = await requestOf();
    expect(url).toMatch('/v3/pc/instances/ic/nodes/nc/processes');
    expect(headers).toMatchObject({ 'x-auth-token': 'from-the-context', 'x-language': 'zh-cn' });
  });

  it('come first from flags on either side of the command, then from the environment, then from the context', async () => {
    configure(context('{ token: from-the-context }'));
    home.environment = { SESSIONCTL_PROJECT: 'pe', SESSIONCTL_NODE: 'ne', SESSIONCTL_TOKEN: 'te' };
    expect((await requestOf()).url).toMatch('/v3/pe/instances/ic/nodes/ne/processes');
    const { url, headers } = await requestOf('--project', 'pf', '--token', 'tf');
    expect(url).toMatch('/v3/pf/instances/ic/nodes/ne/processes');
    expect(headers['x-auth-token']).toBe('tf');
    await home.run(['--node', 'nf', 'list']);
    expect(api.came.at(-1)?.url).toMatch('/nodes/nf/processes');
  });

  it.each([
    ['--node', ['']],
    ['--node', ['n1', '']],
    ['--project', ['']],
    ['--instance', ['']],
    ['--endpoint', ['']],
    ['--context', ['']],
    ['--token', ['']],
    ['--secret-key', ['']],
  ])('do not come from the context if %s %j is empty', async (flag, values) => {
    configure(context('{ token: from-the-context }'));
    const words = values.flatMap((value) => [flag, value]);
    expect(await home.run(['kill', '--all', '--yes', ...words])).toMatchObject({
      code: 64,
      messages: expect.stringContaining(`${flag} is empty.`),
    });
    expect(api.came).toEqual([]);
  });

  it('sign the request with an access key', async () => {
    configure(context('{ access_key: AK, secret_key: SK, security_token: ST }'));
    const { headers } = await requestOf();
    expect(headers['authorization']).toMatch(/^SDK-HMAC-SHA256 Access=AK, .*x-security-token/);
    expect(headers['x-auth-token']).toBeUndefined();
  });

  it('take a token from a command that runs once', async () => {
    const log = `${home.folder}/asked`;
    configure(context(`{ token_command: 'echo asked >> ${log}; echo from-a-command' }`));
    await requestOf('--node', 'n1', '--node', 'n2');
    expect(api.came.map(({ headers }) => headers['x-auth-token'])).toEqual([
      'from-a-command',
      'from-a-command',
    ]);
    expect(readFileSync(log, 'utf8')).toBe('asked\n');
  });

  it('make the command exit with 77 if the token command fails or prints nothing', async () => {
    configure(context("{ token_command: 'echo locked >&2; exit 3' }"));
    expect(await home.run(['list'])).toMatchObject({
      code: 77,
      messages: expect.stringContaining('locked'),
    });
    configure(context("{ token_command: 'true' }"));
    expect(await home.run(['list'])).toMatchObject({
      code: 77,
      messages: expect.stringContaining('printed nothing'),
    });
  });

  it('ignore one line break at the end of a token, and no other one', async () => {
    configure(context('{ token: t }'));
    home.environment = { SESSIONCTL_TOKEN: 'from-a-file\n' };
    expect((await requestOf()).headers['x-auth-token']).toBe('from-a-file');
    home.environment = { SESSIONCTL_TOKEN: 'two\n\n' };
    expect(await home.run(['list'])).toMatchObject({
      code: 64,
      messages: expect.stringContaining('There is a line break in SESSIONCTL_TOKEN.'),
    });
    home.environment = {};
    configure(context("{ token_command: 'echo warning; echo token' }"));
    expect(await home.run(['list'])).toMatchObject({
      code: 64,
      messages: expect.stringContaining('line break in the output of the command'),
    });
  });

  it.each<[string, Record<string, string>, readonly string[], string]>([
    ['{ token: t }', {}, ['--token', 'x'], 'Check --token, which overrides the context one.'],
    [
      '{ token: t }',
      { SESSIONCTL_TOKEN: 'x' },
      [],
      'Check SESSIONCTL_TOKEN, which overrides the context one.',
    ],
    ['{ token: t }', {}, [], 'Check the token of the context one.'],
    [
      "{ token_command: 'echo t' }",
      {},
      [],
      'Check the output of token_command of the context one.',
    ],
    ['{ access_key: AK, secret_key: SK }', {}, [], 'Check access_key and secret_key of'],
  ])('name the source of refused credentials: %s %j %j', async (of, environment, words, hint) => {
    configure(context(of));
    home.environment = environment;
    api.acts = [answer(401, '{"error_code":"APIGW.0301","error_msg":"No."}')];
    expect(await home.run(['list', ...words])).toMatchObject({
      code: 77,
      messages: expect.stringContaining(hint),
    });
  });

  it('show what the token command reports while it runs', async () => {
    const gate = `${home.folder}/gate`;
    configure(
      context(
        `{ token_command: 'echo touch the key >&2; while [ ! -e ${gate} ]; do sleep 0.1; done; echo t' }`,
      ),
    );
    const interrupt = new AbortController();
    const shown: string[] = [];
    const listing = home.run(['list'], {
      signal: interrupt.signal,
      onMessage: (text) => shown.push(text),
    });
    await until('the command has asked', () => shown.join('').includes('touch the key'));
    expect(api.came).toEqual([]);
    writeFileSync(gate, '');
    expect((await listing).code).toBe(0);
  });

  it('are incomplete without a choice among several nodes', async () => {
    configure(context('{ token: t }').replace('[nc]', '[n1, n2]'));
    expect(await home.run(['list'])).toMatchObject({
      code: 64,
      messages: expect.stringContaining('--instance-wide'),
    });
    await requestOf('--instance-wide');
    expect(api.came.map(({ url }) => /nodes\/(\w+)/.exec(url)?.[1]).sort()).toEqual(['n1', 'n2']);
  });

  it('come from a file below XDG_CONFIG_HOME', async () => {
    configure(context('{ token: t }'));
    home.environment = { XDG_CONFIG_HOME: `${home.folder}/elsewhere` };
    expect(await home.run(['list'])).toMatchObject({
      code: 64,
      messages: expect.stringContaining('The endpoint is missing'),
    });
  });
});

describe('a configuration file', () => {
  it.each([
    ['contexts: { a: { endpiont: x } }', 'contexts.a'],
    ['contexts: { a: { endpoint: nowhere } }', 'contexts.a.endpoint'],
    ['contexts: { a: { credentials: { token: t, token_command: c } } }', 'give only one of token'],
    ['contexts: { a: { credentials: { access_key: k } } }', 'must be given together'],
    ['contexts: [', 'cannot be read'],
  ])(
    'with a problem ends the command with 78 and a message about it: %s',
    async (text, problem) => {
      configure(text);
      const { code, messages } = await home.run(['list']);
      expect([code, messages.split('\n')]).toEqual([78, [expect.stringContaining(problem), '']]);
    },
  );

  it('with secrets that other users can read causes a warning', async () => {
    configure(context('{ token: t }'));
    chmodSync(home.configFile, 0o644);
    expect((await home.run(['list'])).messages).toContain('chmod 600');
  });
});

describe('contexts', () => {
  it('that lack settings are added, and the command names the missing ones', async () => {
    const { messages } = await home.run(['context', 'add', 'half', '--endpoint', api.endpoint]);
    expect(messages).toMatch(/^It lacks --project, --node, credentials: /m);
  });

  it('are shown without their secrets', async () => {
    configure(context('{ token: top-secret }'));
    const { code, output } = await home.run(['context', 'show']);
    expect([code, output]).toEqual([0, expect.stringContaining('token: …')]);
    expect(output).toContain(`endpoint: ${api.endpoint}`);
    expect(output).not.toContain('top-secret');
  });

  it('are removed', async () => {
    configure(context('{ token: t }'));
    const { code, messages } = await home.run(['context', 'remove', 'one']);
    expect([code, messages]).toEqual([
      0,
      'Context one is removed. No context is in use: see `sessionctl context use`.\n',
    ]);
    expect((await home.run(['context', 'list'])).messages).toMatch(/^There are no contexts\./);
  });

  it('stay in a file that a symbolic link names', async () => {
    configure(context('{ token: t }'));
    const elsewhere = `${home.folder}/dotfiles.yaml`;
    renameSync(home.configFile, elsewhere);
    symlinkSync(elsewhere, home.configFile);
    await home.run(['context', 'add', 'two', '--endpoint', 'https://two']);
    expect(lstatSync(home.configFile).isSymbolicLink()).toBe(true);
    expect(readFileSync(elsewhere, 'utf8')).toContain('https://two');
  });

  it('are added, used and listed without secrets, in a file of mode 600', async () => {
    const one = ['--endpoint', api.endpoint, '--project', 'p1', '--instance', 'i', '--node', 'n1'];
    const files = ['--ca-file', 'package.json'];
    await home.run([
      'context',
      'add',
      'one',
      ...one,
      '--node',
      'n2',
      '--token',
      'top-secret',
      ...files,
    ]);
    await home.run([
      'context',
      'add',
      'two',
      '--endpoint',
      'https://two',
      '--token-command',
      'pass',
    ]);
    await home.run(['context', 'use', 'two']);

    const { output } = await home.run(['context', 'list']);

    expect(output.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['NAME', 'ENDPOINT', 'PROJECT', 'NODES', 'CREDENTIALS'],
      ['one', api.endpoint, 'p1', '2', 'token'],
      ['*', 'two', 'https://two', '0', 'token command'],
      [''],
    ]);
    expect(statSync(home.configFile).mode & 0o777).toBe(0o600);
    expect(readFileSync(home.configFile, 'utf8')).toContain(`ca_file: ${resolve('package.json')}`);
    expect((await home.run(['list', '--context', 'one', '--node', 'n1'])).code).toBe(0);
    expect(api.came.at(-1)?.headers['x-auth-token']).toBe('top-secret');
  });

  it('are replaced only with --replace', async () => {
    configure(context('{ token: t }'));
    const add = ['context', 'add', 'one', '--endpoint', 'https://other'];
    const before = readFileSync(home.configFile, 'utf8');
    expect(await home.run(add)).toMatchObject({
      code: 64,
      messages:
        'sessionctl: The context one already exists. Use --replace to replace all of it with these flags.\n',
    });
    expect(readFileSync(home.configFile, 'utf8')).toBe(before);
    const replaced = await home.run([...add, '--replace']);
    expect(replaced).toMatchObject({ code: 0, messages: `Context one is replaced.\n${LACKS}` });
    expect(readFileSync(home.configFile, 'utf8')).toContain('https://other');
  });

  it('keep the comments of the file', async () => {
    configure(context('{ token: t }'));
    await home.run(['context', 'add', 'other', '--endpoint', 'https://other']);
    expect(readFileSync(home.configFile, 'utf8')).toContain('# the comment stays');
  });
});

describe('a log-in', () => {
  const issued = (seconds: number) => (token: string) =>
    answer(
      201,
      JSON.stringify({
        token: { expires_at: new Date(Date.now() + seconds * 1000).toISOString() },
      }),
      { 'X-Subject-Token': token },
    );
  const keystone = (more = '') =>
    context(`{ keystone: { endpoint: "${iam.endpoint}/v3", user: bob, domain: Default${more} } }`);

  it('stores a token with mode 600, and later commands use the token until it expires', async () => {
    configure(keystone());
    home.environment = { SESSIONCTL_PASSWORD: 'bobpw' };
    iam.acts = [issued(3600)('first')];
    expect(await home.run(['login'])).toMatchObject({ code: 0, output: '' });
    home.environment = {};

    expect((await requestOf()).headers['x-auth-token']).toBe('first');

    const file = home.configFile.replace('config.yaml', 'tokens.yaml');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(iam.came).toHaveLength(1);
    expect([iam.came[0]?.method, iam.came[0]?.url]).toEqual([
      'POST',
      '/v3/auth/tokens?nocatalog=true',
    ]);
    expect(JSON.parse(iam.came[0]?.body ?? '')).toEqual({
      auth: {
        identity: {
          methods: ['password'],
          password: { user: { name: 'bob', domain: { name: 'Default' }, password: 'bobpw' } },
        },
        scope: { project: { id: 'pc' } },
      },
    });
  });

  it('is required if the token is about to expire or belongs to another project', async () => {
    configure(keystone());
    home.environment = { SESSIONCTL_PASSWORD: 'bobpw' };
    iam.acts = [issued(30)('short')];
    await home.run(['login']);
    home.environment = {};
    expect(await home.run(['list'])).toMatchObject({
      code: 77,
      messages: expect.stringContaining('sessionctl login'),
    });

    home.environment = { SESSIONCTL_PASSWORD: 'bobpw' };
    iam.acts = [issued(3600)('long')];
    await home.run(['login']);
    home.environment = {};
    expect((await home.run(['list', '--project', 'other'])).code).toBe(77);
    expect(api.came).toEqual([]);
  });

  it('happens by itself if a command prints the password', async () => {
    configure(keystone(", password_command: 'echo pw'"));
    iam.acts = [issued(3600)('by-itself')];
    expect((await requestOf()).headers['x-auth-token']).toBe('by-itself');
  });

  it('is denied with a wrong password', async () => {
    configure(keystone(', password: wrong'));
    iam.acts = [answer(401, '{"error":{"code":401}}')];
    const { code, messages } = await home.run(['login']);
    expect(code).toBe(77);
    expect(messages).toMatch(/IAM refuses .* The user is bob of the domain Default/);
    expect(messages).not.toContain('sessionctl login');
  });
});
