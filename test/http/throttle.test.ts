import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';

function start() {
  const nodes = new FakeNodes();
  const service = createService({
    registry: [fakeNode],
    nodes,
    requestsPerMinute: 3,
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
});
