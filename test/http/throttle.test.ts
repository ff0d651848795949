import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import type { AccessKey } from '../../src/identity/access-keys.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
import { ACCESS_KEY, sign } from '../support/sign.ts';
import { createService, TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

function start(trustProxy: boolean | number | string = false) {
  const nodes = new FakeNodes();
  const service = createService({
    registry: [fakeNode],
    nodes,
    requestsPerMinute: 3,
    trustProxy,
    callers: { second: { user: 'second', projectId: nodeKey.projectId, actions: ['*'] } },
  });
  const get = (token: string) =>
    request(service.app).get(processesPath()).set('X-Auth-Token', token);
  const del = (token: string, query = '') =>
    request(service.app)
      .delete(`${processesPath()}${query}`)
      .set('X-Auth-Token', token)
      .type('application/json')
      .send('{"processes":[1]}');
  return { ...service, nodes, get, del };
}

const DRY = '?dry_run=true';

describe('a caller beyond its rate limit', () => {
  it('gets a 429 with Retry-After, while other callers are served', async () => {
    const { get, nodes } = start();
    for (let n = 0; n < 3; n += 1) await get(TOKEN).expect(200);

    const res = await get(TOKEN).expect(429);

    expect(res.body).toEqual({
      error_code: 'APIGW.0308',
      error_msg:
        'The throttling threshold has been reached. At most 3 requests per minute are allowed. Retry later.',
      request_id: res.headers['x-request-id'],
    });
    expect(Number(res.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(Number(res.headers['retry-after'])).toBeLessThanOrEqual(60);
    expect(nodes.connections).toBe(3);
    await get('second').expect(200);
  });
});

describe('the reads and the kills of a caller', () => {
  it('are counted apart: reads use up no kills', async () => {
    const { get, del } = start();
    for (let n = 0; n < 3; n += 1) await get(TOKEN).expect(200);
    await get(TOKEN).expect(429);
    for (let n = 0; n < 3; n += 1) await del(TOKEN).expect(200);
    const res = await del(TOKEN).expect(429);
    expect(res.body).toMatchObject({
      error_code: 'APIGW.0308',
      error_msg:
        'The throttling threshold has been reached. At most 3 kills per minute are allowed. Retry later.',
    });
    expect(Number(res.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  });

  it('are counted apart: kills use up no reads', async () => {
    const { get, del } = start();
    for (let n = 0; n < 3; n += 1) await del(TOKEN).expect(200);
    await del(TOKEN).expect(429);
    await get(TOKEN).expect(200);
  });

  it('are counted by their effect: a dry run is a read', async () => {
    const { get, del } = start();
    for (let n = 0; n < 3; n += 1) await del(TOKEN, DRY).expect(200);
    await get(TOKEN).expect(429);
    await del(TOKEN, DRY).expect(429);
    await del(TOKEN).expect(200);
  });

  it.each(['?dry_run=false', '?dry_run=true&dry_run=true', '?dry_run=TRUE', '?dryrun=true'])(
    'are counted by their effect: a DELETE with %s is a kill',
    async (query) => {
      const { get, del } = start();
      for (let n = 0; n < 3; n += 1) await del(TOKEN, query);
      await del(TOKEN, query).expect(429);
      await get(TOKEN).expect(200);
    },
  );

  it('are counted by their effect: a POST that overrides its method is a kill', async () => {
    const { app, get, del } = start();
    const post = (): request.Test =>
      request(app)
        .post(processesPath())
        .set({ 'X-Auth-Token': TOKEN, 'X-HTTP-Method-Override': 'DELETE' })
        .type('application/json')
        .send('{"processes":[1]}');
    for (let n = 0; n < 3; n += 1) await post().expect(200);
    await del(TOKEN).expect(429);
    await get(TOKEN).expect(200);
  });

  it('are counted by their effect: all other calls are reads', async () => {
    const { app, get, del } = start();
    const other = (path: string): request.Test => request(app).get(path).set('X-Auth-Token', TOKEN);
    await other(`/v3/${nodeKey.projectId}/nodes`).expect(200);
    await other(processesPath().replace('processes', 'capabilities')).expect(200);
    await request(app).head(processesPath()).set('X-Auth-Token', TOKEN).expect(200);
    await get(TOKEN).expect(429);
    await del(TOKEN).expect(200);
  });
});

describe('an address', () => {
  it('has separate limits for its reads and its kills', async () => {
    const { get, del } = start();
    for (let n = 0; n < 30; n += 1) await get(`guess ${n}`).expect(401);
    await get('guess').expect(429);
    await del('guess', DRY).expect(429);
    await del(TOKEN).expect(200);
    for (let n = 0; n < 29; n += 1) await del(`guess ${n}`).expect(401);
    await del(TOKEN).expect(429);
  });

  it('may send ten times as many requests as a caller, with any credentials', async () => {
    const { get } = start();
    for (let n = 0; n < 30; n += 1) await get(`guess ${n}`).expect(401);
    await get('guess').expect(429);
    await get(TOKEN).expect(429);
  });

  it('is limited before the service reads a body, and on unknown paths', async () => {
    const { app, del } = start();
    for (let n = 0; n < 10; n += 1) {
      await request(app).get(`/${n}`).expect(404);
      await request(app).put(processesPath()).expect(405);
      await request(app).get('/docs').expect(200);
    }
    await request(app).get('/').expect(429);
    await request(app).get('/openapi.yaml').expect(429);
    await request(app).get('/healthz').expect(200);
    for (let n = 0; n < 30; n += 1) await del('guess').expect(401);
    // The body of this request never comes.
    const waiting = request(app).delete(processesPath()).set('Content-Length', '9');
    await waiting.expect(429);
  });

  it.each([
    ['no proxy is trusted', false, /^(::ffff:)?127\.0\.0\.1$/],
    ['proxies elsewhere are trusted', '10.0.0.0/8', /^(::ffff:)?127\.0\.0\.1$/],
    ['the local proxy is trusted', 'loopback', /^203\.0\.113\.7$/],
    ['one proxy is trusted', 1, /^203\.0\.113\.7$/],
    ['every proxy is trusted', true, /^198\.51\.100\.1$/],
  ])('comes from the connection or from X-Forwarded-For: %s', async (_, trustProxy, address) => {
    const { get, events } = start(trustProxy);
    await get(TOKEN).set('X-Forwarded-For', '198.51.100.1, 203.0.113.7').expect(200);
    await until('it is logged', () => events.length > 0);
    expect(events[0]?.fields).toMatchObject({
      address: expect.stringMatching(address) as unknown,
    });
  });

  const proxied = [
    ['ports of an IPv4 address', (n: number) => `203.0.113.8:${40_000 + n}`],
    ['spellings of an IPv4 address', (n: number) => (n % 2 ? '203.0.113.8' : '::ffff:cb00:7108')],
    ['ports of an IPv6 address', (n: number) => `[2001:db8::1]:${40_000 + n}`],
    ['addresses of an IPv6 network', (n: number) => `2001:db8::${n.toString(16)}:1`],
    ['zones of an IPv6 address', (n: number) => `fe80::1%${n}`],
    ['texts that are not addresses', (n: number) => `unknown-${n}`],
    ['texts after an address', (n: number) => `203.0.113.8, ${'_'.repeat(n)}`],
  ] as const;

  it.each(proxied)('keeps one rate limit with other %s', async (_what, forwarded) => {
    const { get } = start(1);
    const guess = (n: number) => get(`guess ${n}`).set('X-Forwarded-For', forwarded(n));
    for (let n = 0; n < 30; n += 1) await guess(n).expect(401);
    await guess(30).expect(429);
    await get(TOKEN).set('X-Forwarded-For', '198.51.100.1').expect(200);
  });

  it.each(proxied)('keeps its lock on an access key with other %s', async (_what, forwarded) => {
    const { app } = createService({
      registry: [fakeNode],
      nodes: new FakeNodes(),
      accessKeys: [ACCESS_KEY],
      trustProxy: 1,
    });
    const get = (address: string, key: Pick<AccessKey, 'access' | 'secret'>) =>
      request(app)
        .get(processesPath())
        .set(sign({ method: 'GET', path: processesPath(), key }))
        .set('X-Forwarded-For', address);
    const wrong = { ...ACCESS_KEY, secret: 'wrong' };
    for (let n = 0; n < 5; n += 1) await get(forwarded(n), wrong).expect(401);
    const locked = await get(forwarded(5), ACCESS_KEY).expect(401);
    expect(locked.text).toContain('AK access failed to reach the limit,forbidden');
    await get('198.51.100.1', ACCESS_KEY).expect(200);
  });

  it('has the same limit if the caller forges X-Forwarded-For', async () => {
    const { get } = start();
    const guess = (n: number) => get(`guess ${n}`).set('X-Forwarded-For', `198.51.100.${n}`);
    for (let n = 0; n < 30; n += 1) await guess(n).expect(401);
    await guess(30).expect(429);
  });
});
