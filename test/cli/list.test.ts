import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Interrupted } from '../../src/cli/failures.ts';
import { answer, NO_NODES, ScriptedApi } from '../support/scripted-api.ts';
import { until } from '../support/until.ts';
import { Home } from './home.ts';

const api = new ScriptedApi();
const home = new Home();
const EMPTY = answer(200, '{"processes":[],"total_count":0}');
const BROKEN = answer(500, '{"error_code":"DBS.200005","error_msg":"The node is restarting."}');

beforeAll(async () => {
  api.nodes = NO_NODES;
  await api.start();
  home.environment = {
    SESSIONCTL_ENDPOINT: api.endpoint,
    SESSIONCTL_PROJECT: 'p',
    SESSIONCTL_INSTANCE: 'i',
    SESSIONCTL_NODE: 'n1',
    SESSIONCTL_TOKEN: 'tok',
  };
});
beforeEach(() => {
  api.came.splice(0);
});
afterAll(() => {
  api.stop();
});

describe('a list', () => {
  it('that is read immediately shows no progress line', async () => {
    api.acts = [EMPTY];
    expect(await home.run(['list'])).toEqual({ code: 0, output: '', messages: '0 sessions.\n' });
  });

  it('that takes longer than half a second shows a progress line', async () => {
    api.acts = [
      (res, request) => {
        setTimeout(() => {
          EMPTY(res, request);
        }, 600);
      },
    ];
    expect((await home.run(['list'])).messages).toBe('Reading the list …\n0 sessions.\n');
  });

  it('that is interrupted exits with 130', async () => {
    api.acts = [() => undefined];
    const interrupt = new AbortController();
    const listing = home.run(['list'], { signal: interrupt.signal });
    await until('the list is requested', () => api.came.length > 0);
    interrupt.abort(new Interrupted());
    expect((await listing).code).toBe(130);
  });
});

describe('a list with --watch', () => {
  it('shows an error of the service and continues', async () => {
    api.acts = [BROKEN, EMPTY];
    const interrupt = new AbortController();
    const watching = home.run(['list', '--watch', '1s'], { signal: interrupt.signal });
    await until('it is read a second time', () => api.came.length > 1);
    interrupt.abort(new Interrupted());
    const { code, output } = await watching;
    expect(code).toBe(0);
    expect(output).toMatch(/^Every 1 s, \d\d:\d\d:\d\d\. Ctrl-C ends\.\nThe node is restarting\./);
  });

  it('ends if the service denies access', async () => {
    api.acts = [answer(401, '{"error_code":"APIGW.0301","error_msg":"Who?"}')];
    expect(await home.run(['list', '--watch', '1s'])).toMatchObject({ code: 77, output: '' });
  });
});
