import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SessionControlClient, SessionControlError } from '../../src/client/index.ts';
import { nodeKey, processesPath } from '../support/ids.ts';
import { answer, cutOff, ScriptedApi } from '../support/scripted-api.ts';
import { until } from '../support/until.ts';

let api: ScriptedApi;
let client: SessionControlClient;
beforeEach(async () => {
  api = new ScriptedApi();
  await api.start();
  client = new SessionControlClient({
    endpoint: `${api.endpoint}/`,
    credentials: { token: 'tok' },
  });
});
afterEach(() => {
  api.stop();
});

const EMPTY = answer(200, '{"processes":[],"total_count":0}');
const KILLED = answer(200, '{"processes_killed":[7],"processes_not_found":[]}');
const busy = (seconds: string) =>
  answer(503, '{"error_code":"APIGW.0201","error_msg":"Backend unavailable."}', {
    'Retry-After': seconds,
  });

function killed(request: { readonly body: string }): string {
  return `{"processes_killed":${/\[[\d,]+\]/.exec(request.body)?.[0] ?? '[]'},"processes_not_found":[]}`;
}

async function failureOf(work: Promise<unknown>): Promise<SessionControlError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SessionControlError);
  return error as SessionControlError;
}

describe('one session and the summary', () => {
  it('are read with exact integers', async () => {
    const session =
      '"id":9007199254740993,"user":"a","host":"h:1","db":"","command":"Sleep","time":3,"state":"","info":""';
    const detail = `{${session},"info_truncated":true,"transaction":null,"connection_attributes":{"program_name":"x"},
      "waits_for":[{"id":9007199254740993,"waits_for":null,"kind":"row","seconds":3}],"blocks":[],"sources":{"row":"available"}}`;
    const group = '{"user":"a","host":"h","db":"","command":"Sleep","count":2,"max_time":3}';
    const summary = `{"total":3,"by_command":{"Sleep":3},"groups":[${group}],"other":1,"longest":[{${session}}],
      "blocked":1,"transactions":{"open":1,"longest_seconds":12}}`;
    api.acts = [answer(200, detail), answer(200, summary)];
    const id = 9_007_199_254_740_993n;
    expect(await client.show(nodeKey, id)).toMatchObject({
      ...{ id, isInfoTruncated: true, transaction: null, areWaitsTruncated: false },
      connectionAttributes: { program_name: 'x' },
      waitsFor: [{ id, waitsFor: undefined, kind: 'row', seconds: 3 }],
    });
    expect(await client.summary(nodeKey)).toMatchObject({
      ...{ total: 3, byCommand: { Sleep: 3 }, groups: [{ count: 2, maxTime: 3 }], other: 1 },
      ...{ longest: [{ id }], blocked: 1, transactions: { open: 1, longestSeconds: 12 } },
    });
    const paths = [`${processesPath()}/${id}`, processesPath().replace('processes', 'summary')];
    expect(api.came.map(({ url }) => url)).toEqual(paths);
  });
});

describe('a list', () => {
  it('has the transactions that the service shows, or the reason why they are missing', async () => {
    const session =
      '"user":"a","host":"h:1","db":"","command":"Sleep","time":3,"state":"","info":""';
    const shown = '{"state":"RUNNING","seconds":12,"rows_locked":4,"rows_modified":3}';
    api.acts = [
      answer(
        200,
        `{"processes":[{"id":1,${session},"transaction":${shown}},{"id":2,${session},"transaction":null}],"total_count":2}`,
      ),
      answer(200, `{"processes":[],"total_count":0,"sources":{"transaction":"Not shown."}}`),
    ];
    const sessions = await client.list(nodeKey, { withTransactions: true });
    expect(sessions.map(({ transaction }) => transaction)).toEqual([
      { state: 'RUNNING', seconds: 12, rowsLocked: 4n, rowsModified: 3n },
      null,
    ]);
    const page = await client.listPage(nodeKey, { withTransactions: true });
    expect(page.missingTransactions).toBe('Not shown.');
    expect(api.came.map(({ url }) => url)).toEqual(
      [0, 0].map((offset) => `${processesPath()}?limit=100&offset=${offset}&with=transaction`),
    );
  });

  it('has exact ids, and each request gets its token from the token function', async () => {
    const session = {
      user: 'a',
      host: 'h:1',
      db: '',
      command: 'Sleep',
      time: 3,
      state: '',
      info: '',
    };
    const text = JSON.stringify({ id: 0, ...session }).replace('"id":0', '"id":9007199254740993');
    api.acts = [answer(200, `{"processes":[${text}],"total_count":1}`)];
    let asked = 0;
    const other = new SessionControlClient({
      endpoint: api.endpoint,
      language: 'zh-cn',
      credentials: { token: () => Promise.resolve(`token-${(asked += 1)}`) },
    });

    expect(await other.list(nodeKey)).toEqual([{ id: 9_007_199_254_740_993n, ...session }]);

    expect(api.came[0]?.url).toBe(`${processesPath()}?limit=100&offset=0`);
    expect(api.came[0]?.headers).toMatchObject({
      'x-auth-token': 'token-1',
      'x-language': 'zh-cn',
    });
  });

  it('is requested again if the connection breaks or the service is briefly busy', async () => {
    api.acts = [cutOff, busy('1'), EMPTY];
    await failureOf(client.list(nodeKey));
    api.acts = [cutOff, EMPTY];
    expect(await client.list(nodeKey)).toEqual([]);
    api.acts = [busy('1'), EMPTY];
    expect(await client.list(nodeKey)).toEqual([]);
  });

  it('is not requested again if the service is busy for longer or refuses', async () => {
    api.acts = [busy('60')];
    expect(await failureOf(client.list(nodeKey))).toMatchObject({
      kind: 'busy',
      status: 503,
      code: 'APIGW.0201',
      retryAfterSeconds: 60,
      requestId: 'f'.repeat(32),
    });
    api.acts = [answer(403, '{"error_code":"DBS.200010","error_msg":"No."}')];
    expect(await failureOf(client.list(nodeKey))).toMatchObject({ kind: 'denied', message: 'No.' });
    expect(api.came).toHaveLength(2);
  });

  it.each([
    ['<html>', 200, 'malformed'],
    ['{"processes":[{"id":"7"}],"total_count":1}', 200, 'malformed'],
    ['{"processes":[],"total_count":"1"}', 200, 'malformed'],
    ['<html>Bad gateway', 502, 'failed'],
    ['', 404, 'refused'],
  ])('fails if the response is %j with %d', async (text, status, kind) => {
    api.acts = [answer(status, text)];
    expect((await failureOf(client.list(nodeKey))).kind).toBe(kind);
  });

  it('fails at its timeout, and ends when its signal aborts', async () => {
    api.acts = [() => undefined];
    const hasty = new SessionControlClient({
      endpoint: api.endpoint,
      credentials: { token: 'tok' },
      timeoutMs: 50,
      retries: 0,
    });
    expect((await failureOf(hasty.list(nodeKey))).message).toContain('no answer within 50 ms');
    const abort = new AbortController();
    const listing = client.list(nodeKey, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(listing).rejects.toThrow('enough');
  });
});

describe('a kill', () => {
  it('that is a dry run has its own outcome, and the ids that the node would refuse', async () => {
    const ids =
      '"processes_killed":[7],"processes_not_found":[],"processes_failed":[8],"processes_unknown":[]';
    const processes = '[{"id":7,"outcome":"would_kill"},{"id":8,"outcome":"failed"}]';
    const error = '"error_code":"DBS.200005","error_msg":"Protected."';
    api.acts = [answer(500, `{${error},${ids},"dry_run":true,"processes":${processes}}`)];
    const result = await client.kill(nodeKey, [7n, 8n], { isDryRun: true, isDetailed: true });
    expect(result).toMatchObject({ killed: [7n], failed: [8n], trouble: 'Protected.' });
    expect(result.sessions).toEqual([
      { id: 7n, outcome: 'would_kill' },
      { id: 8n, outcome: 'failed' },
    ]);
    expect(api.came).toHaveLength(1);
  });

  it('that is a dry run has the transactions to roll back, or the reason why they are missing', async () => {
    const entry = '"user":"a","host":"h:1","db":"","command":"Sleep","time":3,"state":""';
    const transaction = '{"state":"RUNNING","seconds":9,"rows_locked":4,"rows_modified":3}';
    const processes = `[{"id":7,"outcome":"would_kill",${entry},"transaction":${transaction}},{"id":8,"outcome":"would_kill",${entry},"transaction":null}]`;
    const ids = '"processes_killed":[7,8],"processes_not_found":[],"dry_run":true';
    api.acts = [
      answer(200, `{${ids},"processes":${processes}}`),
      answer(200, `{${ids},"processes":[],"sources":{"transaction":"GRANT it."}}`),
    ];
    const dry = () => client.kill(nodeKey, [7n, 8n], { isDryRun: true, isDetailed: true });
    const { sessions, missingTransactions } = await dry();
    expect(sessions.map((session) => session.transaction)).toEqual([
      { state: 'RUNNING', seconds: 9, rowsLocked: 4n, rowsModified: 3n },
      null,
    ]);
    expect(missingTransactions).toBeUndefined();
    expect((await dry()).missingTransactions).toBe('GRANT it.');
  });

  it('shows the rest of a rollback', async () => {
    const processes =
      '[{"id":7,"outcome":"rolling_back","rows_left":120000,"seconds_left":41},{"id":8,"outcome":"rolling_back"}]';
    api.acts = [
      answer(200, `{"processes_killed":[7,8],"processes_not_found":[],"processes":${processes}}`),
    ];
    const { sessions } = await client.kill(nodeKey, [7n, 8n], { waitSeconds: 1 });
    expect(sessions).toEqual([
      { id: 7n, outcome: 'rolling_back', rowsLeft: 120_000n, secondsLeft: 41 },
      { id: 8n, outcome: 'rolling_back' },
    ]);
  });

  it('that ends statements has their scope in the query, and reads the outcomes of statements', async () => {
    const processes =
      '[{"id":7,"outcome":"stopped","transaction_open":true},{"id":8,"outcome":"idle","transaction_open":false},{"id":9,"outcome":"not_found"}]';
    api.acts = [
      answer(200, `{"processes_killed":[7],"processes_not_found":[8,9],"processes":${processes}}`),
    ];
    const targets = [{ id: 7n, info: 'SELECT 1' }, 8n, 9n];
    const result = await client.kill(nodeKey, targets, { scope: 'statement', isDetailed: true });
    expect(result.sessions).toEqual([
      { id: 7n, outcome: 'stopped', transactionOpen: true },
      { id: 8n, outcome: 'idle', transactionOpen: false },
      { id: 9n, outcome: 'not_found' },
    ]);
    expect(api.came[0]?.url).toMatch(/\/processes\?scope=statement$/);
    expect(api.came[0]?.body).toBe('{"processes":[7,8,9],"expected":[{"id":7,"info":"SELECT 1"}]}');
  });

  it('ignores the statement of a session from the list, unless it is to end that statement', async () => {
    api.acts = [answer(200, '{"processes_killed":[7],"processes_not_found":[]}')];
    await client.kill(nodeKey, [{ id: 7n, user: 'a', info: 'SELECT 1' }]);
    expect(api.came[0]?.body).toBe('{"processes":[7],"expected":[{"id":7,"user":"a"}]}');
  });

  it('sends the user and host of each session, and its options as headers', async () => {
    api.acts = [
      answer(
        200,
        '{"processes_killed":[9007199254740993],"processes_not_found":[8],"processes":[{"id":9007199254740993,"outcome":"gone","user":"a","host":"h:1","db":"","command":"Sleep","time":3,"state":""},{"id":8,"outcome":"not_found"}]}',
        { 'Preference-Applied': 'wait=2, return=representation' },
      ),
    ];
    const result = await client.kill(
      nodeKey,
      [{ id: 9_007_199_254_740_993n, host: 'h:1', user: 'a' }, 8n, 8n],
      { waitSeconds: 5, reason: '失控', idempotencyKey: 'incident' },
    );
    expect(result).toEqual({
      killed: [9_007_199_254_740_993n],
      notFound: [8n],
      failed: [],
      unknown: [],
      sessions: [
        {
          ...{ id: 9_007_199_254_740_993n, outcome: 'gone', user: 'a', host: 'h:1', db: '' },
          ...{ command: 'Sleep', time: 3, state: '' },
        },
        { id: 8n, outcome: 'not_found' },
      ],
      trouble: undefined,
      waitedSeconds: 2,
      requestIds: ['f'.repeat(32)],
    });
    const [request] = api.came;
    expect(request?.body).toBe(
      '{"processes":[9007199254740993,8],"expected":[{"id":9007199254740993,"host":"h:1","user":"a"}]}',
    );
    expect(request?.headers).toMatchObject({
      prefer: 'wait=5, return=representation',
      'idempotency-key': 'incident-0',
      'x-kill-reason': Buffer.from('失控').toString('latin1'),
    });
  });

  it('without a key is not sent again, and its ids are unknown', async () => {
    api.acts = [cutOff];
    const result = await client.kill(nodeKey, [7n]);
    expect(result).toMatchObject({ killed: [], unknown: [7n] });
    expect(api.came).toHaveLength(1);
  });

  it('that gets no response is sent again with the same key', async () => {
    api.acts = [cutOff, KILLED];
    const result = await client.kill(nodeKey, [7n], { idempotencyKey: 'k' });
    expect(result.killed).toEqual([7n]);
    expect(api.came.map(({ headers }) => headers['idempotency-key'])).toEqual(['k-0', 'k-0']);
  });

  it('stays unknown if the first attempt may have arrived and the service refuses the next ones', async () => {
    api.acts = [cutOff, answer(500, '{"error_code":"DBS.200005","error_msg":"Server failure."}')];
    const result = await client.kill(nodeKey, [7n], { idempotencyKey: 'k' });
    expect(result).toMatchObject({ unknown: [7n], trouble: 'Server failure.' });
  });

  it('rejects if the service reports that it ended no session, or if the service cannot be reached', async () => {
    api.acts = [answer(500, '{"error_code":"DBS.200005","error_msg":"Server failure."}')];
    expect((await failureOf(client.kill(nodeKey, [7n]))).kind).toBe('failed');
    const nowhere = new SessionControlClient({
      endpoint: 'http://127.0.0.1:9',
      credentials: { token: 'tok' },
    });
    const error = await failureOf(nowhere.kill(nodeKey, [7n], { idempotencyKey: 'k' }));
    expect([error.kind, error.mayHaveArrived]).toEqual(['unreachable', false]);
  });

  it('has the outcome of each id if some of them failed', async () => {
    api.acts = [
      answer(
        500,
        '{"error_code":"DBS.200005","error_msg":"Server failure. 1 killed","processes_killed":[1],"processes_not_found":[2],"processes_failed":[3],"processes_unknown":[4]}',
      ),
    ];
    expect(await client.kill(nodeKey, [1n, 2n, 3n, 4n])).toMatchObject({
      ...{ killed: [1n], notFound: [2n], failed: [3n], unknown: [4n] },
      trouble: 'Server failure. 1 killed',
    });
  });

  it('of more than a thousand ids is sent in several requests', async () => {
    api.acts = [(res, request) => res.end(killed(request))];
    const ids = Array.from({ length: 2500 }, (_, index) => BigInt(index + 1));
    const result = await client.kill(nodeKey, ids, { idempotencyKey: 'k' });
    expect(result.killed).toEqual(ids);
    expect(api.came.map(({ headers }) => headers['idempotency-key'])).toEqual([
      'k-0',
      'k-1',
      'k-2',
    ]);
  });

  it('is also split by the size of its body', async () => {
    api.acts = [(res, request) => res.end(killed(request))];
    const targets = Array.from({ length: 900 }, (_, index) => ({
      id: BigInt(index + 1),
      host: `${'h'.repeat(500)}:1`,
    }));
    const result = await client.kill(nodeKey, targets);
    expect(result.killed).toHaveLength(900);
    expect(Math.max(...api.came.map(({ body }) => body.length))).toBeLessThan(262_144);
  });

  it('that fails at the second request has the outcomes of the first one', async () => {
    api.acts = [
      (res, request) => res.end(killed(request)),
      answer(403, '{"error_code":"DBS.200010","error_msg":"No more."}'),
    ];
    const ids = Array.from({ length: 2500 }, (_, index) => BigInt(index + 1));
    const result = await client.kill(nodeKey, ids);
    expect([result.killed.length, result.failed.length, result.unknown.length]).toEqual([
      1000, 1500, 0,
    ]);
    expect(api.came).toHaveLength(2);
  });

  it('that is aborted is unknown if it has begun, and rejects otherwise', async () => {
    api.acts = [() => undefined];
    const abort = new AbortController();
    const killing = client.kill(nodeKey, [7n], { signal: abort.signal });
    await until('the request has arrived', () => api.came.length === 1);
    abort.abort(new Error('enough'));
    expect((await killing).unknown).toEqual([7n]);
    await expect(client.kill(nodeKey, [7n], { signal: abort.signal })).rejects.toThrow('enough');
  });
});
