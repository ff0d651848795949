import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
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
  return { ...service, nodes, get };
}

describe('a caller', () => {
  it('who asks too often hears when to come back; others are served', async () => {
    const { get, nodes } = start();
    for (let n = 0; n < 3; n += 1) await get(TOKEN).expect(200);

    const res = await get(TOKEN).expect(429);

    expect(res.body).toEqual({
      error_code: 'APIGW.0308',
      error_msg:
        'The throttling threshold has been reached. At most 3 requests a minute are taken.',
      request_id: res.headers['x-request-id'],
    });
    expect(Number(res.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(Number(res.headers['retry-after'])).toBeLessThanOrEqual(60);
    expect(nodes.connections).toBe(3);
    await get('second').expect(200);
  });
});

describe('an address', () => {
  it('may ask ten times as often as a caller, with whatever credentials', async () => {
    const { get } = start();
    for (let n = 0; n < 30; n += 1) await get(`guess ${n}`).expect(401);
    await get('guess').expect(429);
    await get(TOKEN).expect(429);
  });

  it.each([
    ['nobody is trusted', false, /^(::ffff:)?127\.0\.0\.1$/],
    ['proxies elsewhere are trusted', '10.0.0.0/8', /^(::ffff:)?127\.0\.0\.1$/],
    ['the proxy here is trusted', 'loopback', /^203\.0\.113\.7$/],
    ['one proxy is trusted', 1, /^203\.0\.113\.7$/],
    ['everybody is trusted', true, /^198\.51\.100\.1$/],
  ])(
    'is that of the connection, or what X-Forwarded-For says of it: %s',
    async (_, trustProxy, address) => {
      const { get, events } = start(trustProxy);
      await get(TOKEN).set('X-Forwarded-For', '198.51.100.1, 203.0.113.7').expect(200);
      await until('it is logged', () => events.length > 0);
      expect(events[0]?.fields).toMatchObject({
        address: expect.stringMatching(address) as unknown,
      });
    },
  );

  it('that a caller makes up gives no more requests', async () => {
    const { get } = start();
    const guess = (n: number) => get(`guess ${n}`).set('X-Forwarded-For', `198.51.100.${n}`);
    for (let n = 0; n < 30; n += 1) await guess(n).expect(401);
    await guess(30).expect(429);
  });
});
