import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { NO_AUDIT, type Audit } from '../../src/domain/termination.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, processesPath } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

function start() {
  const nodes = new FakeNodes();
  const recorded: (string | undefined)[] = [];
  const audit: Audit = {
    ...NO_AUDIT,
    intend: ({ origin }) => {
      recorded.push(origin.traceId);
      return Promise.resolve();
    },
    conclude: ({ origin }) => recorded.push(origin.traceId),
    deny: ({ traceId }) => recorded.push(traceId),
  };
  const { app, events } = createService({ registry: [fakeNode], nodes, audit });
  const send = (traceparent: string, token = TOKEN) =>
    request(app)
      .delete(processesPath())
      .set({ 'X-Auth-Token': token, traceparent })
      .type('application/json')
      .send(`{"processes":[${nodes.connect()}]}`);
  const logged = () =>
    events.map(({ message, fields }) => [message, (fields as { trace_id?: string }).trace_id]);
  return { send, logged, recorded };
}

describe('traceparent', () => {
  it('sets the trace of log lines and audit records, but not of the response', async () => {
    const { send, logged, recorded } = start();
    const { headers } = await send(`00-${TRACE}-${PARENT}-01`).expect(200);
    expect(logged()).toEqual([
      ['kill', TRACE],
      ['request', TRACE],
    ]);
    expect(recorded).toEqual([TRACE, TRACE]);
    expect(JSON.stringify(headers)).not.toContain(TRACE);
  });

  it('sets the trace of the record of a refused request, too', async () => {
    const { send, logged, recorded } = start();
    await send(`00-${TRACE}-${PARENT}-00`, 'wrong').expect(401);
    expect([logged(), recorded]).toEqual([[['request', TRACE]], [TRACE]]);
  });

  it('is read up to its known fields in a later version', async () => {
    const { send, recorded } = start();
    await send(`cc-${TRACE}-${PARENT}-01-what-comes`).expect(200);
    expect(recorded).toEqual([TRACE, TRACE]);
  });

  it.each([
    ['empty', ''],
    ['of an invalid version', `ff-${TRACE}-${PARENT}-01`],
    ['in capitals', `00-${TRACE.toUpperCase()}-${PARENT}-01`],
    ['with a trace of zeros', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['with a parent of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['too short', `00-${TRACE.slice(1)}-${PARENT}-01`],
    ['longer than its version', `00-${TRACE}-${PARENT}-01-x`],
    ['without a separator after its flags', `cc-${TRACE}-${PARENT}-01x`],
    ['sent twice', `00-${TRACE}-${PARENT}-01, 00-${TRACE}-${PARENT}-01`],
  ])('is ignored if it is %s', async (_how, header) => {
    const { send, logged, recorded } = start();
    await send(header).expect(200);
    expect(logged()).toEqual([
      ['kill', undefined],
      ['request', undefined],
    ]);
    expect(recorded).toEqual([undefined, undefined]);
  });
});
