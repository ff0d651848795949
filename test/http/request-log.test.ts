import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { expect, it } from '@jest/globals';
import request from 'supertest';
import { createListener } from '../../src/http/listener.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, processesPath } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

it('the service writes the log lines of a kill after the response', async () => {
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

it('the request log marks a dry run, and not a kill', async () => {
  const nodes = new FakeNodes();
  const { app, events } = createService({ registry: [fakeNode], nodes });
  const id = nodes.connect();
  for (const query of ['?dry_run=true', '']) {
    await request(app)
      .delete(`${processesPath()}${query}`)
      .set('X-Auth-Token', TOKEN)
      .type('application/json')
      .send(`{"processes":[${id}]}`)
      .expect(200);
  }
  const lines = (): typeof events => events.filter(({ message }) => message === 'request');
  await until('both are logged', () => lines().length === 2);
  expect(lines()).toMatchObject([
    { fields: { killed: 1, dry_run: true } },
    { fields: { killed: 1, dry_run: undefined } },
  ]);
});

it('the request log marks a failed dry run, too', async () => {
  const { app, events } = createService({ registry: [], nodes: new FakeNodes() });
  await request(app)
    .delete(`${processesPath()}?dry_run=true`)
    .set('X-Auth-Token', TOKEN)
    .type('application/json')
    .send('{"processes":[1]}')
    .expect(404);
  await until('it is logged', () => events.length > 0);
  expect(events).toMatchObject([{ fields: { status: 404, dry_run: true } }]);
});

it.each(['ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'EHOSTUNREACH'])(
  'the request log has 499 for a connection that fails with %s during the body',
  async (code) => {
    const { app, events } = createService({ registry: [fakeNode], nodes: new FakeNodes() });
    const server = createListener(app, { requestTimeoutMs: 30_000, log: { log: () => undefined } });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const begun = once(server, 'request');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => undefined);
    client.write(
      `DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n{"pro`,
    );
    const [[socket]] = await Promise.all([accepted, begun]);
    socket.destroy(Object.assign(new Error('lost'), { code }));
    await until('it is logged', () => events.length > 0);
    expect(events).toMatchObject([{ fields: { status: 499, client_gone: true } }]);
    client.destroy();
    server.close();
  },
);

it('the request log has 499 for a client that disconnects before the response', async () => {
  const { app, events } = createService({ registry: [fakeNode], nodes: new FakeNodes() });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write(`DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n{"pro`);
  await once(server, 'request');
  client.destroy();
  await until('it is logged', () => events.length > 0);
  expect(events).toMatchObject([{ level: 'info', fields: { status: 499, client_gone: true } }]);
  server.close();
});

it.each([
  `${processesPath()}?token=SECRET#x`,
  `http://user:SECRET@localhost${processesPath()}`,
  '*?token=SECRET',
])(
  'the request log omits a URL that cannot be parsed, since it can hold a secret: %s',
  async (url) => {
    const { app, events } = createService({ registry: [fakeNode], nodes: new FakeNodes() });
    const server = createServer(app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.write(`GET ${url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    client.resume();
    await once(client, 'close');
    await until('it is logged', () => events.some(({ message }) => message === 'request'));
    const logged = events.find(({ message }) => message === 'request');
    expect(logged).toMatchObject({ fields: { path: '/(unreadable)', status: 404 } });
    expect(inspect(events)).not.toContain('SECRET');
    server.close();
  },
);
