import { describe, expect, it } from '@jest/globals';
import type { Response } from 'express';
import request from 'supertest';
import { transaction } from '../domain/lock-readings.ts';
import { limitWaits, parsePrefer } from '../../src/http/extensions.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
import { MemoryAnswers } from '../../src/store/memory-answers.ts';
import { createService, TOKEN, type ServiceSettings } from '../support/service.ts';
import { until } from '../support/until.ts';

function start(settings: Partial<ServiceSettings> = {}) {
  const nodes = new FakeNodes();
  const service = createService({
    registry: [fakeNode],
    nodes,
    maxWaitSeconds: 2,
    callers: { colleague: { user: 'colleague', projectId: nodeKey.projectId, actions: ['*'] } },
    ...settings,
  });
  const send = (body: string, headers: Record<string, string> = {}, query = '') =>
    request(service.app)
      .delete(`${processesPath()}${query}`)
      .set({ 'X-Auth-Token': TOKEN, ...headers })
      .type('application/json')
      .send(body);
  return { ...service, nodes, send };
}

const ONE = '{"processes":[1]}';

describe('dry_run', () => {
  it('reports which ids would be killed or not found, and kills no session', async () => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    const res = await send('{"processes":[1,2]}', { Prefer: 'wait=1' }, '?dry_run=true').expect(
      200,
    );
    expect(res.text).toBe('{"processes_killed":[1],"processes_not_found":[2],"dry_run":true}');
    expect(res.headers['preference-applied']).toBeUndefined();
    expect([nodes.kills, nodes.has(1n)]).toEqual([[], true]);
  });

  it('returns the outcome of each id with return=representation', async () => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    const prefer = { Prefer: 'return=representation, wait=1' };
    const res = await send('{"processes":[1,2]}', prefer, '?dry_run=true').expect(200);
    const seen =
      '"user":"app","host":"10.0.0.4:50001","db":"shop","command":"Sleep","time":12,"state":""';
    expect(res.text).toBe(
      `{"processes_killed":[1],"processes_not_found":[2],"dry_run":true,"processes":[{"id":1,"outcome":"would_kill",${seen},"transaction":null},{"id":2,"outcome":"not_found"}]}`,
    );
    expect(res.headers['preference-applied']).toBe('return=representation');
    expect([nodes.kills, nodes.lists]).toEqual([[], 1]);
  });

  describe('with return=representation', () => {
    const prefer = { Prefer: 'return=representation' };
    const open = transaction({ seconds: 312n, rowsLocked: 4n, rowsModified: 3n });

    it('shows the transactions that the kill would roll back, also of a session that fails', async () => {
      const { nodes, send } = start();
      for (const id of ['1', '2', '3']) nodes.connect({ id });
      nodes.protected.add(2n);
      for (const id of [1n, 2n, 7n]) nodes.openTransactions.set(id, open);
      nodes.connect({ id: '7', user: 'system user', host: null });
      const res = await send('{"processes":[1,2,3,7]}', prefer, '?dry_run=true').expect(500);
      const shown = { state: 'RUNNING', seconds: 312, rows_locked: 4, rows_modified: 3 };
      const { processes, sources } = res.body as { processes: unknown[]; sources: unknown };
      expect(processes).toMatchObject([
        { id: 1, outcome: 'would_kill', transaction: shown },
        { id: 2, outcome: 'failed', transaction: shown },
        { id: 3, outcome: 'would_kill', transaction: null },
        { id: 7 },
      ]);
      expect(processes[3]).toEqual({ id: 7, outcome: 'not_found' });
      expect(sources).toBeUndefined();
    });

    it('reports why the node shows no transactions', async () => {
      const { nodes, send } = start();
      nodes.connect({ id: '1' });
      nodes.canShowRollbacks = false;
      const res = await send(ONE, prefer, '?dry_run=true').expect(200);
      const { processes, sources } = res.body as { processes: object[]; sources: unknown };
      expect(processes[0]).not.toHaveProperty('transaction');
      expect(sources).toEqual({ transaction: 'The node does not show transactions.' });
    });

    it('shows them again to the same request', async () => {
      const { nodes, send } = start();
      nodes.connect({ id: '1' });
      nodes.openTransactions.set(1n, open);
      const key = { ...prefer, 'Idempotency-Key': 'costs' };
      const first = await send(ONE, key, '?dry_run=true').expect(200);
      nodes.openTransactions.clear();
      expect((await send(ONE, key, '?dry_run=true').expect(200)).text).toBe(first.text);
      nodes.canShowRollbacks = false;
      const other = { ...key, 'Idempotency-Key': 'other' };
      const missing = await send(ONE, other, '?dry_run=true').expect(200);
      expect(missing.text).toContain('"sources"');
      expect((await send(ONE, other, '?dry_run=true').expect(200)).text).toBe(missing.text);
    });

    it('reads transactions only if the request wants them', async () => {
      const { nodes, send } = start();
      nodes.connect({ id: '1' });
      await send(ONE, {}, '?dry_run=true').expect(200);
      expect(nodes.reads).toEqual([]);
    });
  });

  it.each([{}, { Prefer: 'return=representation' }])(
    'fails as the kill would, with the headers %j',
    async (headers) => {
      const { nodes, send } = start();
      for (const id of ['1', '2', '3']) nodes.connect({ id });
      nodes.protected.add(2n);
      const body = '{"processes":[1,2,3,4]}';
      const dry = await send(body, headers, '?dry_run=true').expect(500);
      expect([nodes.kills, nodes.has(1n)]).toEqual([[], true]);
      const real = await send(body, headers).expect(500);

      const ids = { processes_killed: [1, 3], processes_not_found: [4] };
      const failed = { processes_failed: [2], processes_unknown: [] };
      const { processes, ...rest } = dry.body as { processes?: { outcome: string }[] };
      const error_msg =
        'Server failure. 2 killed, 1 not found, 1 failed, 0 unknown. Failed: 2. The node protects a session.';
      expect(rest).toEqual({
        error_code: 'DBS.200005',
        error_msg,
        ...ids,
        ...failed,
        dry_run: true,
      });
      expect(real.body).toMatchObject({ error_msg, ...ids, ...failed });
      const outcomes = ['would_kill', 'failed', 'would_kill', 'not_found'];
      expect(processes?.map(({ outcome }) => outcome)).toEqual(headers.Prefer && outcomes);
    },
  );

  it('is not kept for its Idempotency-Key if it fails', async () => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    nodes.protected.add(1n);
    const key = { 'Idempotency-Key': 'dry' };
    await send(ONE, key, '?dry_run=true').expect(500);
    nodes.protected.clear();
    await send(ONE, key, '?dry_run=true').expect(200);
  });

  it('changes nothing if it is false', async () => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    const res = await send(ONE, {}, '?dry_run=false').expect(200);
    expect(res.text).toBe('{"processes_killed":[1],"processes_not_found":[]}');
    expect(nodes.kills).toEqual([1n]);
  });

  it.each([
    '?dry_run',
    '?dry_run=',
    '?dry_run=1',
    '?dry_run=True',
    '?dry_run=true&dry_run=true',
    '?dry_run[]=true',
  ])('is refused as %s, and kills no session', async (query) => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    const res = await send(ONE, {}, query).expect(400);
    expect((res.body as { error_code: string }).error_code).toBe('DBS.200001');
    expect(nodes.connections).toBe(0);
  });
});

describe('Prefer', () => {
  it('waits until the sessions are gone, and Preference-Applied confirms it', async () => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    nodes.leaving.add(1n);
    nodes.beforeList = (number) => {
      if (number === 3) nodes.disconnect(1n);
    };
    const res = await send(ONE, { Prefer: 'respond-async, wait=2' }).expect(200);
    expect(res.text).toBe('{"processes_killed":[1],"processes_not_found":[]}');
    expect(res.headers['preference-applied']).toBe('wait=2');
    expect(nodes.lists).toBe(3);
  });

  it('waits at most as long as the service allows', async () => {
    const { send } = start();
    const res = await send(ONE, { Prefer: 'wait="999999999"' }).expect(200);
    expect(res.headers['preference-applied']).toBe('wait=2');
  });

  it('does not wait beyond 256 concurrent waits, and waits again once they have ended', async () => {
    const { nodes, send } = start({ maxWaitSeconds: 20 });
    nodes.connect({ id: '1' });
    nodes.leaving.add(1n);
    const wait = async (): Promise<request.Response> => {
      const res = await send(ONE, { Prefer: 'wait=20' });
      // A busy processor refuses requests.
      return res.status === 503 ? wait() : res;
    };
    const waits = Array.from({ length: 256 }, wait);
    await until('all of them wait', () => nodes.kills.length === 256);

    const further = await send(ONE, { Prefer: 'wait=20, return=representation' }).expect(200);
    expect(further.headers['preference-applied']).toBe('return=representation');
    expect(further.body).toMatchObject({ processes: [{ id: 1, outcome: 'killed' }] });

    nodes.disconnect(1n);
    for (const { headers } of await Promise.all(waits)) {
      expect(headers['preference-applied']).toBe('wait=20');
    }
    const later = await send(ONE, { Prefer: 'wait=20' }).expect(200);
    expect(later.headers['preference-applied']).toBe('wait=20');
  });

  it('takes no place for a client that has disconnected', () => {
    const withinReason = limitWaits();
    const wanted = { waitSeconds: 1, isRepresentationWanted: false };
    const gone = { closed: true, once: () => undefined } as unknown as Response;
    const here = { closed: false, once: () => undefined } as unknown as Response;
    for (let client = 0; client < 300; client += 1) withinReason(wanted, gone);
    expect(withinReason(wanted, here)).toEqual(wanted);
  });

  it('with return=representation returns the outcome of each id', async () => {
    const { nodes, send } = start();
    for (const id of ['1', '2', '3']) nodes.connect({ id, info: 'SELECT secret' });
    nodes.connect({ id: '4', user: 'system user', host: null });
    nodes.leaving.add(2n);
    nodes.rollingBack.add(3n);

    const res = await send('{"processes":[4,3,9,2,1]}', { Prefer: 'return=representation' }).expect(
      200,
    );

    const seen = { user: 'app', db: 'shop', command: 'Sleep', time: 12, state: '' };
    expect(res.body).toEqual({
      processes_killed: [3, 2, 1],
      processes_not_found: [4, 9],
      processes: [
        { id: 4, outcome: 'not_found' },
        { id: 3, outcome: 'rolling_back', ...seen, host: '10.0.0.4:50003', rows_left: 1 },
        { id: 9, outcome: 'not_found' },
        { id: 2, outcome: 'killed', ...seen, host: '10.0.0.4:50002' },
        { id: 1, outcome: 'gone', ...seen, host: '10.0.0.4:50001' },
      ],
    });
    expect(res.headers['preference-applied']).toBe('return=representation');
  });

  it('returns the outcomes of failed and unknown ids with a 500, too', async () => {
    const { nodes, send } = start();
    for (const id of ['1', '2', '3']) nodes.connect({ id });
    nodes.faults.set(2n, 'lost, and the node restarts');
    const res = await send('{"processes":[1,2,3]}', {
      Prefer: 'return=representation, wait=1',
    }).expect(500);
    expect(res.body).toMatchObject({
      processes: [
        { id: 1, outcome: 'killed' },
        { id: 2, outcome: 'unknown' },
        { id: 3, outcome: 'failed' },
      ],
      processes_failed: [3],
      processes_unknown: [2],
    });
    expect(res.headers['preference-applied']).toBe('wait=1, return=representation');
  });

  it.each([
    'wait=soon',
    'wait=-1',
    'return=minimal',
    'wait',
    'handling=strict',
    ';;,=,',
    'wait=1.5',
    'x="a, wait=1"',
    'x="a, wait=1',
    'x="a\\", wait=1; \\"b"',
    'wait="1"x',
    'x; y="a, wait=1, b"',
  ])('is ignored if it cannot be applied: %s', async (prefer) => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    const res = await send(ONE, { Prefer: prefer }).expect(200);
    expect(res.text).toBe('{"processes_killed":[1],"processes_not_found":[]}');
    expect(res.headers['preference-applied']).toBeUndefined();
  });

  it.each(['wait  x', 'wait=  x y', 'x"\\"'])('is parsed in linear time: %s', (prefer) => {
    const timeOf = (header: string): number => {
      const begun = performance.now();
      parsePrefer(header, 2);
      return performance.now() - begun;
    };
    const [begin = '', middle = '', end = ''] = /^(\w+=?)(..)(.*)$/.exec(prefer)?.slice(1) ?? [];
    const plain = timeOf(`wait=${'1'.repeat(60_000)}`);
    // Quadratic time would be thousands of times as long.
    expect(timeOf(`${begin}${middle.repeat(30_000)}${end}`) / plain).toBeLessThan(500);
  });

  it.each([
    'wait=1, wait=2',
    'x="a, wait=2", wait="1"; y="b;,"',
    'x="wait=2;",wait=1;y',
    'wait=2 x, wait=1',
  ])('applies the first of two waits, and none within quotes: %s', async (prefer) => {
    const res = await start().send(ONE, { Prefer: prefer }).expect(200);
    expect(res.headers['preference-applied']).toBe('wait=1');
  });
});

describe('expected', () => {
  it('spares a session that differs from what the caller saw', async () => {
    const { nodes, send } = start();
    nodes.connect({ id: '1', host: '10.0.0.4:5000' });
    nodes.connect({ id: '2', host: '10.0.0.4:5001' });
    const expected =
      '[{"id":1,"host":"10.0.0.4:4999"},{"id":2,"host":"10.0.0.4:5001","user":"other"}]';
    const res = await send(`{"processes":[1,2],"expected":${expected}}`).expect(200);
    expect(res.text).toBe('{"processes_killed":[2],"processes_not_found":[1]}');
    expect(nodes.has(1n)).toBe(true);
  });

  it.each([
    ['null', 'expected must be an array.'],
    ['{}', 'expected must be an array.'],
    ['[1]', 'expected[0] must be an object.'],
    ['[[]]', 'expected[0] must be an object.'],
    ['[{"id":1}]', 'expected[0] must have a host or a user.'],
    ['[{"id":2,"user":"a"}]', 'expected[0] must have an id that is in processes.'],
    ['[{"id":"1","user":"a"}]', 'expected[0] must have an id that is in processes.'],
    ['[{"id":1.0,"user":"a"}]', 'expected[0] must have an id that is in processes.'],
    ['[{"user":"a"}]', 'expected[0] must have an id that is in processes.'],
    [
      '[{"id":1,"user":""}]',
      'expected[0] must have texts of 1 to 512 characters as host and user.',
    ],
    [
      '[{"id":1,"host":null,"user":"a"}]',
      'expected[0] must have texts of 1 to 512 characters as host and user.',
    ],
    ['[{"id":1,"user":7}]', 'expected[0] must have texts of 1 to 512 characters as host and user.'],
    ['[{"id":1,"user":"a","db":"b"}]', 'expected[0] has the unknown field "db".'],
    [
      '[{"id":1,"user":"a"},{"id":1,"user":"a"}]',
      'expected[1] repeats the id of an earlier entry.',
    ],
    ['[{"id":1,"user":"a","user":"a"}]', 'A JSON object must not hold the same key twice.'],
  ])('is refused as %s', async (expected, message) => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    const res = await send(`{"processes":[1],"expected":${expected}}`).expect(400);
    expect(res.body).toEqual({
      error_code: 'DBS.200001',
      error_msg: `Parameter error. ${message}`,
    });
    expect(nodes.connections).toBe(0);
  });
});

describe('Idempotency-Key', () => {
  const KEY = { 'Idempotency-Key': 'a-key' };

  it('returns the first response again without a KILL: immediately, later, and for a dry run', async () => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    const first = '{"processes_killed":[1],"processes_not_found":[]}';

    const both = await Promise.all([send(ONE, KEY), send(ONE, KEY)]);
    nodes.connect({ id: '1' });
    const later = await send(ONE, KEY);

    expect([...both, later].map(({ status, text }) => [status, text])).toEqual(
      Array(3).fill([200, first]),
    );
    expect(nodes.kills).toEqual([1n]);
    expect(nodes.has(1n)).toBe(true);
  });

  it('keeps a 500 that follows a KILL, with its whole body', async () => {
    const { nodes, send } = start();
    for (const id of ['1', '2']) nodes.connect({ id });
    nodes.faults.set(1n, 'lost, and the node restarts');
    const body = '{"processes":[1,2]}';
    const headers = { ...KEY, Prefer: 'return=representation' };
    const first = await send(body, headers).expect(500);
    const again = await send(body, headers).expect(500);
    expect(again.body).toEqual(first.body);
    expect(nodes.kills).toEqual([1n]);
  });

  it('does not keep a 500 for which no KILL was sent, although it accounts for the ids', async () => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    // Each list is too old when it arrives.
    nodes.clock = () => performance.now() - 5000;
    const first = await send(ONE, KEY).expect(500);
    expect(first.body).toMatchObject({ processes_failed: [1], processes_killed: [] });
    nodes.clock = () => performance.now();
    await send(ONE, KEY).expect(200, '{"processes_killed":[1],"processes_not_found":[]}');
    expect(nodes.kills).toEqual([1n]);
  });

  it('does not keep an error that precedes every KILL', async () => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    nodes.isReachable = false;
    await send(ONE, KEY).expect(500);
    nodes.isReachable = true;
    await send(ONE, KEY).expect(200, '{"processes_killed":[1],"processes_not_found":[]}');
  });

  it.each([
    ['another body', '{"processes":[2]}', {}, ''],
    ['a body with an extra space', '{"processes":[1] }', {}, ''],
    ['another Prefer', ONE, { Prefer: 'wait=1' }, ''],
    ['another query', ONE, {}, '?dry_run=true'],
    ['another caller of the project', ONE, { 'X-Auth-Token': 'colleague' }, ''],
  ])('is refused with %s', async (_what, body, headers, query) => {
    const { nodes, send } = start();
    nodes.connect({ id: '1' });
    nodes.connect({ id: '2' });
    await send(ONE, KEY).expect(200);

    const res = await send(body, { ...KEY, ...headers }, query).expect(400);

    expect(res.body).toEqual({
      error_code: 'DBS.200001',
      error_msg: 'Parameter error. The Idempotency-Key was used before for a different request.',
    });
    expect(nodes.kills).toEqual([1n]);
  });

  it('returns unknown outcomes and no Preference-Applied if no first response is stored', async () => {
    const answers = Object.assign(new MemoryAnswers(), { complete: () => Promise.resolve() });
    const { nodes, send } = start({ answers, requestTimeoutMs: 1500 });
    nodes.connect({ id: '1' });
    const headers = { ...KEY, Prefer: 'wait=0' };
    await send(ONE, headers).expect(200).expect('Preference-Applied', 'wait=0');

    const res = await send(ONE, headers).expect(500);

    expect(res.body).toMatchObject({ processes_killed: [], processes_unknown: [1] });
    expect(res.headers['preference-applied']).toBeUndefined();
    await send(ONE, { 'Idempotency-Key': 'dry' }, '?dry_run=true').expect(200);
    const dry = await send(ONE, { 'Idempotency-Key': 'dry' }, '?dry_run=true').expect(500);
    expect(dry.body).toMatchObject({ processes_unknown: [1], dry_run: true });
    expect(nodes.kills).toEqual([1n]);
  });

  it('is shared by a DELETE and a POST that overrides its method', async () => {
    const { app, nodes, send } = start();
    nodes.connect({ id: '1' });
    await send(ONE, KEY).expect(200);
    await request(app)
      .post(processesPath())
      .set({ 'X-Auth-Token': TOKEN, 'X-HTTP-Method-Override': 'DELETE', ...KEY })
      .type('application/json')
      .send(ONE)
      .expect(200, '{"processes_killed":[1],"processes_not_found":[]}');
    expect(nodes.kills).toEqual([1n]);
  });
});
