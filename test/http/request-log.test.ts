import type { RequestListener } from 'node:http';
import { expect, it } from '@jest/globals';
import request from 'supertest';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, processesPath } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

it('is written after the answer: a kill does not wait for its lines', async () => {
  const nodes = new FakeNodes();
  const { app, events } = createService({ registry: [fakeNode], nodes });
  const order: string[] = [];
  events.push = (...more) => order.push(...more.map(({ message }) => message));
  const answering: RequestListener = (req, res) => {
    const end = res.end.bind(res) as (...given: unknown[]) => typeof res;
    res.end = ((...given: unknown[]) => {
      order.push('answer');
      return end(...given);
    }) as typeof res.end;
    app(req, res);
  };

  const id = nodes.connect();
  await request(answering)
    .delete(processesPath())
    .set('X-Auth-Token', TOKEN)
    .type('application/json')
    .send(`{"processes":[${id}]}`)
    .expect(200);

  await until('both lines are there', () => order.length === 3);
  expect(order).toEqual(['answer', 'kill', 'request']);
});
