import { describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import express, { type RequestHandler } from 'express';
import request from 'supertest';
import { NO_AUDIT } from '../../src/domain/audit.ts';
import { answerError } from '../../src/http/answer-error.ts';
import { facts } from '../../src/http/request-facts.ts';
import { limitInFlight } from '../../src/http/throttle.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey, processesPath } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

const nameless: RequestHandler = (_req, res, next) => {
  Object.assign(facts(res), { requestId: '0'.repeat(32), language: 'en-us' });
  next();
};

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

describe('the service', () => {
  it('turns away what would be too much at once, and takes the next when one is answered', async () => {
    const answers: (() => void)[] = [];
    const app = express();
    app.use(nameless, limitInFlight(2), (_req, res) => {
      answers.push(() => res.end('done'));
    });
    app.use(answerError(NO_AUDIT));
    const server = createServer(app).listen(0);
    const get = () => request(server).get('/');
    const taken = [get().expect(200, 'done'), get().expect(200, 'done')].map((sent) => sent.then());
    await until('both are under way', () => answers.length === 2);

    const res = await get().expect(503);

    expect(res.body).toMatchObject({ error_code: 'APIGW.0201' });
    expect(res.headers['retry-after']).toBe('5');
    for (const answer of answers.splice(0)) answer();
    await Promise.all(taken);
    const next = get().expect(200).then();
    await until('the next is under way', () => answers.length === 1);
    answers[0]?.();
    await next;
    server.close();
  });
});
