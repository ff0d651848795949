import type { RequestListener } from 'node:http';
import { expect, it } from '@jest/globals';
import request from 'supertest';
import { NO_AUDIT, type Audit } from '../../src/domain/audit.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, processesPath } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

const KEEPS_RECORD: Audit = { ...NO_AUDIT };

it.each([
  ['with an audit after the answer: a kill does not wait for its lines', KEEPS_RECORD, 0],
  ['without one before it: nothing else tells of the kill', NO_AUDIT, 1],
])('is written %s', async (_when, audit, before) => {
  const nodes = new FakeNodes();
  const { app, events } = createService({ registry: [fakeNode], nodes, audit });
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
  expect(order.indexOf('answer')).toBe(before);
  expect(order.filter((what) => what !== 'answer')).toEqual(['kill', 'request']);
});
