import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { nodeKey } from '../support/ids.ts';
import { answer, ScriptedApi } from '../support/scripted-api.ts';
import { Home } from './home.ts';

const api = new ScriptedApi();
const home = new Home();
beforeAll(async () => {
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
    [['kill'], 'Whom? Give ids or filters.'],
    [['kill', '--yes'], 'Whom?'],
    [['kill', '--all', '12'], '--all goes with no ids'],
    [['kill', '--all', '--user', 'app'], '--all goes with no ids'],
    [['kill', '--user', ''], '--user is empty'],
    [['kill', '--info', '/(/'], 'no regular expression'],
    [['kill', '12x'], '"12x" is no session id'],
    [['kill', '0'], 'no session id'],
    [['kill', '1.0'], 'no session id'],
    [['kill', '1e3'], 'no session id'],
    [['kill', '-12'], '"-12" is no session id'],
    [['kill', '9223372036854775808'], 'no session id'],
    [['kill', '-'], 'No ids came on standard input'],
    [['kill', '12', '--max', '0'], '--max must be an integer of 1 or more'],
    [['kill', '12', '--wait', 'long'], '--wait long is no time'],
    [['kill', '12', '--reason', 'two\nlines'], '--reason must be 1 to 256 visible characters'],
    [['kill', '12', '-o', 'csv'], "argument 'csv' is invalid"],
    [['kill', '12', '--node', 'a', '--instance-wide'], 'exclude each other'],
    [['kill', '12', '--instance-wide'], 'names no nodes'],
    [['list', '--sort', 'age'], "argument 'age' is invalid"],
    [['list', '--limit', '-1'], '--limit must be an integer'],
    [['list', '--min-time', '5 minutes'], '--min-time 5 minutes is no time'],
    [['list', '--watch', '2s', '-o', 'json'], '--watch shows a table only'],
    [['list', '--language', 'de'], "argument 'de' is invalid"],
    [['list', '--endpoint', 'ftp://x'], 'no URL of http or https'],
    [['list', '--access-key', 'A'], 'Half an access key'],
    [['list', '--security-token', 'S'], 'A security token is in the flags, without its access key'],
    [['list', '--access-key', 'A', '--secret-key', 'S', '--token', 't'], 'give one of them'],
    [['list', '--context', 'nowhere'], 'There is no context nowhere'],
    [['list', 'more'], 'too many arguments'],
    [['lst'], 'Did you mean list?'],
    [['context', 'use', 'nowhere'], 'There is no context nowhere'],
    [['context', 'add', '../x'], 'A context is named'],
    [['context', 'add', 'x', '--endpoint', 'ftp://x'], 'no URL of http or https'],
    [['login'], 'no IAM to log in at'],
    [['completion', 'tcsh'], "value 'tcsh' is invalid"],
  ])('is %j: one line, 64, and nothing is sent', async (words, message) => {
    const { code, output, messages } = await home.run(words);
    expect([code, output]).toEqual([64, '']);
    expect(messages.split('\n')).toEqual([expect.stringContaining(message), '']);
    expect(messages).toMatch(/^sessionctl: /);
    expect(api.came).toEqual([]);
  });

  it.each(['endpoint', 'project', 'instance', 'node'])('is a missing %s', async (name) => {
    const bare = new Home();
    bare.environment = { ...home.environment, [`SESSIONCTL_${name.toUpperCase()}`]: '' };
    const { code, messages } = await bare.run(['list']);
    expect([code, messages]).toEqual([64, expect.stringContaining(`The ${name} is missing.`)]);
  });
});

describe('the help', () => {
  it.each([
    [],
    ['list'],
    ['kill'],
    ['capabilities'],
    ['context'],
    ['context', 'add'],
    ['context', 'use'],
    ['context', 'list'],
    ['login'],
    ['version'],
    ['completion'],
  ])('of %s %s has an example', async (...words) => {
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
