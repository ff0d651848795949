import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { nodeKey } from '../support/ids.ts';
import { answer, NO_NODES, ScriptedApi } from '../support/scripted-api.ts';
import { Home } from './home.ts';

const api = new ScriptedApi();
const home = new Home();
beforeAll(async () => {
  api.nodes = NO_NODES;
  await api.start();
  api.acts = [answer(200, '{"processes":[],"total_count":0}')];
  home.environment = {
    SESSIONCTL_ENDPOINT: api.endpoint,
    SESSIONCTL_PROJECT: nodeKey.projectId,
    SESSIONCTL_INSTANCE: nodeKey.instanceId,
    SESSIONCTL_NODE: nodeKey.nodeId,
    SESSIONCTL_TOKEN: 'tok',
  };
});
afterAll(() => {
  api.stop();
});

describe('a usage error', () => {
  it.each<[readonly string[], string]>([
    [['kill'], 'The sessions to end are missing.'],
    [['kill', '--yes'], 'Give ids or filters, or --all'],
    [['kill', '--all', '12'], '--all cannot be combined with ids'],
    [['kill', '--all', '--user', 'app'], '--all cannot be combined with ids'],
    [['kill', '--user', ''], '--user is empty'],
    [['kill', '--info', '/(/'], 'is not a valid regular expression'],
    [['kill', '12x'], '"12x" is not a session id'],
    [['kill', '0'], 'is not a session id'],
    [['kill', '1.0'], 'is not a session id'],
    [['kill', '1e3'], 'is not a session id'],
    [['kill', '-12'], '"-12" is not a session id'],
    [['kill', '9223372036854775808'], 'is not a session id'],
    [['kill', '-'], 'Standard input holds no session ids'],
    [['kill', '12', '--max', '0'], '--max must be an integer of 1 or more'],
    [['kill', '12', '--blocker-of', '13'], '--blocker-of cannot be combined with ids'],
    [['kill', '--blocker-of', 'x'], '"x" is not a session id'],
    [['kill', '--blocker-of', ''], '--blocker-of is empty'],
    [['kill', '12', '--max-rollback-rows', 'all'], '--max-rollback-rows must be an integer'],
    [['show', 'x'], '"x" is not a session id'],
    [['show', '1,2'], 'Give one session id'],
    [['kill', '12', '--wait', 'long'], '--wait long is not a duration'],
    [['kill', '12', '--reason', 'two\nlines'], '--reason must be 1 to 256 visible characters'],
    [['kill', '12', '-o', 'csv'], "argument 'csv' is invalid"],
    [['kill', '12', '--node', 'a', '--instance-wide'], 'cannot be combined'],
    [['kill', '12', '--instance-wide'], 'names no nodes'],
    [['kill', '--user', '/rep'], '--user /rep is an unclosed regular expression'],
    [['list', '--info', '!/select'], 'is an unclosed regular expression'],
    [['kill', '--info', '/a(?!b)/'], 'has (?!, which the RE2 syntax does not allow. RE2 has no'],
    [['list', '--user', '!/(a)\\1/'], "Exclude with a second flag: --user '!/…/'."],
    [['list', '--state', '/(?:abcdefghijklm){1000}/'], 'is too large. Use fewer repetitions'],
    [['kill', '--user', 'web,app'], 'Repeat the flag: --user web --user app'],
    [['list', '--watch', '0s'], '--watch is shorter than a second'],
    [['top'], 'Use `sessionctl list --watch 2s`.'],
    [['list', '--watch', '2s', '--blocking'], '--watch cannot be combined with --blocking'],
    [['list', '--group-by', 'id'], "argument 'id' is invalid"],
    [['list', '--group-by', 'user', '--sort', 'user'], '--sort cannot be combined'],
    [['list', '--sort', 'user,-age'], "argument 'user,-age' is invalid"],
    [['list', '--token', 'a\nb'], 'There is a line break in --token'],
    [['list', '--endpoint', 'https://x/v3'], 'Use https://x.'],
    [['context', 'add', 'x', '--endpoint', 'https://x/y/v3/p'], 'Use https://x/y.'],
    [['context', 'add', 'x', '--endpoint', 'https://x/?a=b'], 'has a query'],
    [['context', 'show'], 'No context is in use'],
    [['context', 'remove', 'nowhere'], 'There is no context nowhere'],
    [['ps'], 'Use `sessionctl list`'],
    [['list', '--sort', 'age'], "argument 'age' is invalid"],
    [['list', '--limit', '-1'], '--limit must be an integer'],
    [['list', '--min-time', '5 minutes'], '--min-time 5 minutes is not a duration'],
    [['list', '--watch', '2s', '-o', 'json'], '--watch works only with the table format'],
    [['list', '--language', 'de'], "argument 'de' is invalid"],
    [['list', '--endpoint', 'ftp://x'], 'is not an http or https URL'],
    [['list', '--access-key', 'A'], 'There is only half of an access key in the flags'],
    [
      ['list', '--security-token', 'S'],
      'There is a security token without its access key in the flags',
    ],
    [['list', '--access-key', 'A', '--secret-key', 'S', '--token', 't'], 'Use only one of them'],
    [['list', '--context', 'nowhere'], 'There is no context nowhere'],
    [['list', 'more'], 'too many arguments'],
    [['lst'], 'Did you mean list?'],
    [['context', 'use', 'nowhere'], 'There is no context nowhere'],
    [['context', 'add', '../x'], 'The context name'],
    [['context', 'add', 'x', '--endpoint', 'ftp://x'], 'is not an http or https URL'],
    [['login'], 'names no IAM to log in to'],
    [['completion', 'tcsh'], "value 'tcsh' is invalid"],
  ])('of %j prints one line, exits with 64 and sends nothing', async (words, message) => {
    const { code, output, messages } = await home.run(words);
    expect([code, output]).toEqual([64, '']);
    expect(messages.split('\n')).toEqual([expect.stringContaining(message), '']);
    expect(messages).toMatch(/^sessionctl: /);
    expect(api.came).toEqual([]);
  });

  it.each(['endpoint', 'project', 'instance', 'node'])(
    'is reported for a missing %s',
    async (name) => {
      const bare = new Home();
      bare.environment = { ...home.environment, [`SESSIONCTL_${name.toUpperCase()}`]: '' };
      const { code, messages } = await bare.run(['list']);
      expect([code, messages]).toEqual([64, expect.stringContaining(`The ${name} is missing.`)]);
    },
  );
});

describe('the help', () => {
  it.each([
    [],
    ['list'],
    ['kill'],
    ['blockers'],
    ['show'],
    ['top'],
    ['nodes'],
    ['history'],
    ['capabilities'],
    ['console'],
    ['context'],
    ['context', 'add'],
    ['context', 'use'],
    ['context', 'show'],
    ['context', 'remove'],
    ['context', 'list'],
    ['login'],
    ['version'],
    ['completion'],
  ])('text of `%s %s` has an example', async (...words) => {
    const { code, output } = await home.run([...words, '--help']);
    expect(code).toBe(0);
    expect(output).toMatch(/Examples?:\n {2}(sessionctl|source) /);
  });
});

describe('the version', () => {
  it.each(['version', '--version'])('is that of the package: %s', async (word) => {
    expect(await home.run([word])).toEqual({
      code: 0,
      output: 'sessionctl 1.2.3\n',
      messages: '',
    });
  });
});
