import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, processesPath } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';

function start() {
  const nodes = new FakeNodes();
  const service = createService({ registry: [fakeNode], nodes });
  const id = nodes.connect({ id: '1' });
  nodes.run(id, 'SELECT 1');
  const send = (query: string, body = '{"processes":[1]}', headers = {}) =>
    request(service.app)
      .delete(`${processesPath()}${query}`)
      .set({ 'X-Auth-Token': TOKEN, ...headers })
      .type('application/json')
      .send(body);
  return { ...service, nodes, send };
}

const PREFER = { Prefer: 'return=representation' };
const SEEN =
  '"user":"app","host":"10.0.0.4:50001","db":"shop","command":"Query","time":12,"state":""';

describe('scope', () => {
  it.each([
    ['en-us', 'Parameter error. scope must be session or statement, given once.'],
    ['zh-cn', '参数错误。scope必须为session或statement，且只能出现一次。'],
  ])('is session or statement, given once, in %s', async (language, error_msg) => {
    const { nodes, send } = start();
    const wrong = ['scope=', 'scope=Statement', 'scope=query', 'scope=statement&scope=statement'];
    for (const query of wrong) {
      const res = await send(`?${query}`, undefined, { 'X-Language': language });
      expect([res.status, res.body]).toEqual([400, { error_code: 'DBS.200001', error_msg }]);
    }
    expect(nodes.kills).toEqual([]);
  });

  it.each(['', '?scope=session'])('ends the session with the query "%s"', async (query) => {
    const { nodes, send } = start();
    const res = await send(query, undefined, PREFER).expect(200);
    expect(res.text).toBe(
      `{"processes_killed":[1],"processes_not_found":[],"processes":[{"id":1,"outcome":"gone",${SEEN}}]}`,
    );
    expect(nodes.has(1n)).toBe(false);
  });

  it('statement ends the statement, and keeps the session', async () => {
    const { nodes, send, events } = start();
    nodes.connect({ id: '2' });
    const res = await send('?scope=statement', '{"processes":[1,2,3]}', PREFER).expect(200);
    const idle = SEEN.replace('Query', 'Sleep').replace('50001', '50002');
    expect(res.text).toBe(
      `{"processes_killed":[1],"processes_not_found":[2,3],"processes":[{"id":1,"outcome":"stopped",${SEEN},"transaction_open":false},{"id":2,"outcome":"idle",${idle},"transaction_open":false},{"id":3,"outcome":"not_found"}]}`,
    );
    expect(nodes.has(1n)).toBe(true);
    const kills = events.filter(({ message }) => message === 'kill');
    expect(kills).toMatchObject([{ fields: { scope: 'statement', outcome: 'killed' } }]);
  });

  it('statement has its own message on a 500', async () => {
    const { nodes, send } = start();
    nodes.protected.add(1n);
    const res = await send('?scope=statement', undefined, PREFER).expect(500);
    expect(res.body).toMatchObject({
      error_msg:
        'Server failure. 0 stopped, 0 not found, 1 failed, 0 unknown. Failed: 1. The node protects a session.',
      processes: [{ outcome: 'failed', transaction_open: false }],
    });
  });
});

describe('expected with info', () => {
  const body = '{"processes":[1],"expected":[{"id":1,"info":"SELECT 2"}]}';

  it.each([
    ['', '"info"', 'expected[0] has the unknown field "info".'],
    ['?scope=session', '"info"', 'expected[0] has the unknown field "info".'],
    ['?scope=statement', '"info"', undefined],
    ['?scope=statement', '"db"', 'expected[0] has the unknown field "db".'],
  ])('with the query "%s" and the field %s', async (query, field, problem) => {
    const { nodes, send } = start();
    const res = await send(query, body.replace('"info"', field));
    const right = { processes_killed: [], processes_not_found: [1] };
    const wrong = { error_code: 'DBS.200001', error_msg: `Parameter error. ${problem}` };
    expect(res.body).toEqual(problem === undefined ? right : wrong);
    expect(nodes.kills).toEqual([]);
  });

  it.each([
    ['{"id":1}', 'must have a host, a user or an info'],
    ['{"id":1,"info":""}', 'must have texts of 1 to 512 characters as host, user and info'],
    ['{"id":1,"info":7}', 'must have texts of 1 to 512 characters as host, user and info'],
  ])('is refused as %s', async (entry, rule) => {
    const { send } = start();
    const res = await send('?scope=statement', `{"processes":[1],"expected":[${entry}]}`).expect(
      400,
    );
    expect(res.body).toMatchObject({ error_msg: `Parameter error. expected[0] ${rule}.` });
  });
});

describe('an Idempotency-Key', () => {
  it('covers the scope, and returns the first response again', async () => {
    const { nodes, send } = start();
    const headers = { ...PREFER, 'Idempotency-Key': 'once' };
    const first = await send('?scope=statement', undefined, headers).expect(200);
    nodes.run(1n, 'SELECT 2');
    const again = await send('?scope=statement', undefined, headers).expect(200);
    expect(again.text).toBe(first.text);
    await send('', undefined, headers).expect(400);
    expect(nodes.kills).toEqual([1n]);
  });
});
