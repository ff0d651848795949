import { once } from 'node:events';
import { createServer, request as send, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { limitConcurrency, type Admission } from '../../src/http/admission.ts';
import { paceConnections } from '../../src/http/request-turns.ts';
import { until } from '../support/until.ts';

/** More bytes than the socket buffers of both sides hold. */
const LARGE = 64 * 1024 * 1024;

describe('the limit on concurrent requests', () => {
  let server: Server;
  let come: ServerResponse[];
  let answers: (() => void)[];
  let events: { message: string; fields: object }[];
  const get = (url = '/') => request(server).get(url);

  beforeEach(() => start());
  afterEach(stop);

  async function start(bounds: Partial<Admission> = {}): Promise<void> {
    [come, answers, events] = [[], [], []];
    const app = limitConcurrency(
      ({ url }, res) => {
        if (url === '/healthz') res.end('healthy');
        else if (url === '/large' || url === '/readyz') res.end(Buffer.alloc(LARGE));
        else res.req.resume().once('end', () => answers.push(() => res.end(url)));
      },
      {
        ...{ most: 2, places: 2, mostWhenBusy: 2, requestTimeoutMs: 30_000, ...bounds },
        log: { log: (_level, message, fields) => events.push({ message, fields }) },
      },
    );
    server = createServer(app)
      .on('request', (_req, res: ServerResponse) => come.push(res))
      .listen(0);
    paceConnections(server, 'connection', (socket) => socket.destroy());
    await once(server, 'listening');
  }

  async function stop(): Promise<void> {
    for (const answer of answers) answer();
    server.close();
    await once(server, 'close');
  }

  async function restart(bounds: Partial<Admission>): Promise<void> {
    await stop();
    await start(bounds);
  }

  /** Sends requests, and expects an answer to each. */
  function admit(...paths: readonly string[]): Promise<unknown>[] {
    return paths.map((path) => get(path).expect(200, path).then());
  }

  /** Takes both places. `answered` resolves when both requests are answered. */
  async function fill(): Promise<{ readonly answered: Promise<unknown> }> {
    const answered = Promise.all([get('/a').expect(200, '/a'), get('/b').expect(200, '/b')]);
    await until('both are under way', () => answers.length === 2);
    return { answered };
  }

  it('refuses a request that has waited for a second, in its language, and logs the count', async () => {
    const { answered } = await fill();
    const sentAt = performance.now();
    const [res, chinese] = await Promise.all([
      get().expect(503),
      get().set('X-Language', 'zh-cn').expect(503),
    ]);

    expect(performance.now() - sentAt).toBeGreaterThan(900);
    expect(res.body).toEqual({
      error_code: 'APIGW.0201',
      error_msg: 'Backend unavailable. The service has too many requests in progress. Retry later.',
      request_id: res.headers['x-request-id'],
    });
    expect(res.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
    expect(res.headers).toMatchObject({ 'retry-after': '5', 'cache-control': 'no-store' });
    expect(chinese.body).toMatchObject({
      error_msg: '后端服务不可用。服务正在处理的请求过多，请稍后重试。',
    });
    expect(answers).toHaveLength(2);
    await until('it is logged', () => events.length > 0);
    expect(events).toEqual([{ message: 'requests refused', fields: { count: 2 } }]);
    for (const answer of answers) answer();
    await answered;
  });

  it('admits waiting requests in order, each as soon as another one has its response', async () => {
    const { answered } = await fill();
    const third = get('/c').expect(200, '/c').then();
    await untilArrived(3);
    const fourth = get('/d').expect(200, '/d').then();
    await untilArrived(4);

    answers[0]?.();
    await until('the third is admitted', () => answers.length === 3);
    answers[2]?.();
    await third;
    await until('the fourth is admitted', () => answers.length === 4);
    answers[3]?.();
    await fourth;
    answers[1]?.();
    await answered;
  });

  it('admits more requests while the processor is idle, at most four in all', async () => {
    await restart({ most: 4 });
    const { answered } = await fill();
    const further = admit('/c', '/d');
    await until('two more are under way', () => answers.length === 4);
    await get('/e').expect(503);
    expect(answers).toHaveLength(4);
    for (const answer of answers) answer();
    await Promise.all([answered, ...further]);
  });

  it('admits no more requests while the processor is busy', async () => {
    await restart({ most: 4 });
    const work = keepBusy();
    const { answered } = await fill();
    await get('/c').expect(503);
    expect(answers).toHaveLength(2);

    const fourth = get('/d').expect(200, '/d').then();
    await untilArrived(4);
    work.end();
    await until('the fourth is admitted', () => answers.length === 3);
    for (const answer of answers) answer();
    await Promise.all([answered, fourth]);
  });

  it('falls again when the processor becomes busy', async () => {
    await restart({ most: 4 });
    const { answered } = await fill();
    const further = admit('/c', '/d');
    await until('two more are under way', () => answers.length === 4);
    const work = keepBusy();
    // The request waits for a second, in which the limit is computed many times.
    await get('/e').expect(503);
    const fifth = get('/f').expect(200, '/f').then();
    await untilArrived(6);
    answers[0]?.();
    answers[1]?.();
    await answered;
    expect(answers).toHaveLength(4);

    answers[2]?.();
    await until('the fifth is admitted', () => answers.length === 5);
    work.end();
    for (const answer of answers.slice(3)) answer();
    await Promise.all([...further, fifth]);
  });

  it('admits a few requests immediately on a busy processor, and again once the queue is empty', async () => {
    await restart({ most: 4, places: 3, mostWhenBusy: 1 });
    const work = keepBusy();
    const first = admit('/a', '/b', '/c');
    await until('three are under way', () => answers.length === 3);
    await get('/d').expect(503);
    for (const answer of answers) answer();
    await Promise.all(first);

    const next = admit('/e', '/f', '/g');
    await until('three more are under way', () => answers.length === 6);
    work.end();
    for (const answer of answers.slice(3)) answer();
    await Promise.all(next);
  });

  it('does not apply to probes', async () => {
    const { answered } = await fill();
    await get('/healthz').expect(200, 'healthy');
    for (const answer of answers) answer();
    await answered;
  });

  it('drops a waiting request whose client has disconnected', async () => {
    const { answered } = await fill();
    const impatient = send({ port: (server.address() as AddressInfo).port, path: '/gone' });
    impatient.on('error', () => undefined).end();
    await untilArrived(3);
    impatient.destroy();
    await until('it has left', () => come[2]?.closed === true);

    const next = get('/next').expect(200, '/next').then();
    await untilArrived(4);
    answers[0]?.();
    await until('the next is admitted', () => answers.length === 3);
    answers[2]?.();
    await next;
    answers[1]?.();
    await answered;
  });

  it('gives the place of a slow sender to another request, and admits the slow request once it is complete', async () => {
    await restart({ requestTimeoutMs: 1000 });
    const slow = ['/a', '/b'].map((path) =>
      sendText(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab`),
    );
    await untilArrived(2);
    const others = admit('/c', '/d');
    await until('the others are admitted', () => answers.length === 2);

    for (const { socket } of slow) socket.write('cde');
    await until('the slow are answered as well', () => answers.length === 4);
    await get('/e').expect(503);
    for (const answer of answers) answer();
    await Promise.all(others);
    await until('they have their answers', () => slow.every(({ heard }) => /\/[ab]$/.test(heard)));
    for (const { socket } of slow) socket.destroy();
  });

  it('gives the place of a slow reader to another request, and closes its connection after the timeout', async () => {
    await restart({ requestTimeoutMs: 1000 });
    const slow = [1, 2].map(() => sendText('GET /large HTTP/1.1\r\nHost: x\r\n\r\n'));
    for (const { socket } of slow) socket.pause();
    await untilArrived(2);
    const others = admit('/c', '/d');
    await until('the others are admitted', () => answers.length === 2);
    expect(come.slice(0, 2).map(({ closed }) => closed)).toEqual([false, false]);
    for (const answer of answers) answer();
    await Promise.all(others);

    await until('their connections are closed', () =>
      come.slice(0, 2).every(({ closed }) => closed),
    );
    for (const { socket } of slow) socket.destroy();
  });

  it('closes the connection of a probe that does not read its response', async () => {
    await restart({ requestTimeoutMs: 1000 });
    const slow = sendText('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n');
    slow.socket.pause();
    await untilArrived(1);
    await until('its connection is closed', () => come[0]?.closed === true);
    slow.socket.destroy();
  });

  it('closes no connection while its second request waits behind the first', async () => {
    await restart({ requestTimeoutMs: 500 });
    const client = sendText('GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the first is under way', () => answers.length === 1);
    // Wait until the service has closed a connection that came later.
    const slow = sendText('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
    slow.socket.pause();
    await untilArrived(2);
    await until('the slow connection is closed', () => come[1]?.closed === true);

    answers[0]?.();
    await until('the second is under way', () => answers.length === 2);
    answers[1]?.();
    await until('both have arrived', () => /\/a[^]*\/b$/.test(client.heard));
    for (const { socket } of [client, slow]) socket.destroy();
  });

  /** Sends the text over a new connection. */
  function sendText(text: string): { readonly socket: Socket; heard: string } {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const client = { socket, heard: '' };
    socket
      .on('data', (data) => (client.heard += data.toString('latin1')))
      .on('error', () => undefined);
    socket.write(text);
    return client;
  }

  async function untilArrived(count: number): Promise<void> {
    await until(`${count} requests have arrived`, () => come.length === count);
  }
});

/** Keeps the event loop busy until `end` is called. */
function keepBusy(): { end: () => void } {
  let turn = setImmediate(work);
  function work(): void {
    const until = performance.now() + 2;
    while (performance.now() < until);
    turn = setImmediate(work);
  }
  return {
    end: () => {
      clearImmediate(turn);
    },
  };
}
