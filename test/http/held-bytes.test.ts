import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { HeldBytes, type Holder } from '../../src/http/request-turns.ts';
import { processesPath } from '../support/ids.ts';
import {
  exchange,
  killRequest,
  startListening,
  stopAllListening,
  type Listening,
} from '../support/listening.ts';
import { until } from '../support/until.ts';

const MEBIBYTE = 1024 * 1024;
const MAX_BODY_BYTES = 262_144;

describe('the budget for bytes of incomplete requests', () => {
  const shed: string[] = [];
  afterEach(() => {
    shed.length = 0;
  });
  const holder = (name: string): Holder => ({ shed: () => shed.push(name) });

  it('sheds the requests whose bytes have counted for longest', () => {
    const held = new HeldBytes();
    const [whole, first, second, third] = ['whole', 'first', 'second', 'third'].map(holder) as [
      Holder,
      Holder,
      Holder,
      Holder,
    ];
    held.note(whole, 10 * MEBIBYTE);
    for (const each of [first, second, third]) held.note(each, 4 * MEBIBYTE);
    held.note(whole, 0);
    held.note(third, 22 * MEBIBYTE);
    expect(shed).toEqual([]);
    held.note(third, 28 * MEBIBYTE);
    expect(shed).toEqual(['first']);
    held.note(third, 33 * MEBIBYTE);
    expect(shed).toEqual(['first', 'second', 'third']);
  });

  it('no longer counts a request that is complete', () => {
    const held = new HeldBytes();
    for (let n = 0; n < 1000; n += 1) {
      const one = holder(`${n}`);
      held.note(one, 16 * MEBIBYTE);
      held.note(one, 0);
    }
    expect(shed).toEqual([]);
  });

  it('does not count small requests', () => {
    const held = new HeldBytes();
    for (let n = 0; n < 5000; n += 1) held.note(holder('small'), 16_384);
    expect(shed).toEqual([]);
    held.note(holder('too large'), 32 * MEBIBYTE + 16_385);
    expect(shed).toEqual(['too large']);
  });
});

describe('a flood of incomplete bodies', () => {
  const clients: (Socket & { heard: string })[] = [];
  afterEach(() => {
    for (const socket of clients.splice(0)) socket.destroy();
    stopAllListening();
  });

  function send({ port }: Listening, text: string): Socket & { heard: string } {
    const socket = Object.assign(connect(port, '127.0.0.1'), { heard: '' });
    socket
      .on('error', () => undefined)
      .on('data', (data: Buffer) => (socket.heard += String(data)));
    socket.write(text);
    clients.push(socket);
    return socket;
  }

  const unfinished = [
    `DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\nX-Language: zh-cn\r\nContent-Length: ${MAX_BODY_BYTES}\r\n\r\n`,
    'a'.repeat(MAX_BODY_BYTES - 1),
  ].join('');

  it('gets 503 beyond the budget, while small requests succeed, and leaves the budget free', async () => {
    const listening = await startListening();
    const { nodes, events } = listening;
    const [first, second] = [nodes.connect(), nodes.connect()];
    for (let n = 0; n < 300; n += 1) send(listening, unfinished);
    await until('most are refused', () => clients.filter(({ closed }) => closed).length >= 150);
    const refused = clients.filter(({ heard }) => heard !== '');
    expect(refused.every(({ heard }) => heard.startsWith('HTTP/1.1 503 '))).toBe(true);
    expect(refused.every(({ heard }) => heard.includes('Connection: close'))).toBe(true);
    expect(refused.every(({ heard }) => heard.includes('Retry-After: 5\r\n'))).toBe(true);
    expect(refused.some(({ heard }) => heard.includes('后端服务不可用。'))).toBe(true);

    const small = await exchangeOf(listening, killRequest(first, '\r\nConnection: close'));
    expect(small).toMatch(/^HTTP\/1.1 200 /);
    for (const socket of clients) socket.destroy();
    await until(
      'all are logged',
      () => events.filter(({ message }) => message === 'request').length >= 301,
    );

    const large = killRequest(second, '\r\nConnection: close').replace(
      /\{/,
      `${' '.repeat(200_000)}{`,
    );
    const [head = '', body = ''] = large.split('\r\n\r\n');
    const socket = send(
      listening,
      head.replace(/Content-Length: \d+/, `Content-Length: ${body.length}`),
    );
    socket.write(`\r\n\r\n${body.slice(0, 150_000)}`);
    await new Promise(setImmediate);
    socket.write(body.slice(150_000));
    await until('it is answered', () => socket.heard.includes('HTTP/1.1 200 '));
    expect(nodes.kills).toEqual([first, second]);
  });

  it('sheds no complete request that waits for a node, and complete requests use no budget', async () => {
    const listening = await startListening();
    const { nodes } = listening;
    const goOn: (() => void)[] = [];
    const withConnection = nodes.withConnection.bind(nodes);
    nodes.withConnection = async (node, deadline, work) => {
      if (goOn.length < 150) await new Promise<void>((resolve) => goOn.push(resolve));
      return withConnection(node, deadline, work);
    };
    const large = (): string => padded(killRequest(nodes.connect(), '\r\nConnection: close'));
    const whole = Array.from({ length: 150 }, () => send(listening, large()));
    await until('all wait for the node', () => goOn.length === 150);

    expect(await exchangeOf(listening, large())).toMatch(/^HTTP\/1.1 200 /);
    for (let n = 0; n < 150; n += 1) send(listening, unfinished);
    await until('some are refused', () => clients.some(({ heard }) => / 503 /.test(heard)));
    for (const resolve of goOn) resolve();
    await until('all are answered', () => whole.every(({ closed }) => closed));
    expect(whole.filter(({ heard }) => !heard.startsWith('HTTP/1.1 200 '))).toEqual([]);
  });

  it('drops pipelined requests behind a request in progress, which gets its response', async () => {
    const listening = await startListening();
    const { nodes } = listening;
    const id = nodes.connect();
    let goOn: (() => void) | undefined;
    const withConnection = nodes.withConnection.bind(nodes);
    nodes.withConnection = async (node, deadline, work) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      return withConnection(node, deadline, work);
    };
    const owed = send(listening, killRequest(id));
    await until('it is under way', () => goOn !== undefined);
    owed.write(killRequest(id).repeat(500));
    await until(
      'they have arrived',
      () => owed.bytesWritten > 100_000 && owed.writableLength === 0,
    );
    for (let n = 0; n < 300; n += 1) send(listening, unfinished);
    await until('most are refused', () => clients.filter(({ closed }) => closed).length >= 150);

    goOn?.();
    await until('it is closed', () => owed.closed);
    expect(owed.heard.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200']);
    expect(owed.heard).toMatch(/^connection: close\r$/im);
    expect(nodes.kills).toEqual([id]);
  });

  /** Returns the request with a body of almost the largest size. */
  function padded(request: string): string {
    return request
      .replace('{', `${' '.repeat(250_000)}{`)
      .replace(
        /(Content-Length: )(\d+)/,
        (_all, name: string, n: string) => name + String(Number(n) + 250_000),
      );
  }

  async function exchangeOf(listening: Listening, text: string): Promise<string> {
    const socket = send(listening, text);
    await until('it is answered', () => socket.closed);
    return socket.heard;
  }
});

describe('a body that was read', () => {
  afterEach(stopAllListening);

  it.each([
    ['ends a session', (kill: string) => kill],
    ['has no credentials', (kill: string) => kill.replace('X-Auth-Token', 'X-Other')],
    ['is not valid', (kill: string) => kill.replace('[', '{')],
    ['lists sessions', (kill: string) => kill.replace('DELETE', 'GET')],
  ])(
    'is released with its bytes when its request gets the response: a request that %s',
    async (_what, change) => {
      const listening = await startListening();
      const id = listening.nodes.connect();
      const held: unknown[] = [];
      listening.server.on('request', (req: IncomingMessage & { body?: unknown }, res) => {
        res.once('finish', () => held.push(req.body, req.listenerCount('data')));
      });
      const answer = await exchange(listening, change(killRequest(id, '\r\nConnection: close')));
      expect(answer).toMatch(/^HTTP\/1.1 [24]/);
      expect(held).toEqual([undefined, 0]);
    },
  );

  it('stays as an object, without its bytes, while the sessions are ended', async () => {
    const listening = await startListening();
    const held: unknown[] = [];
    let request: (IncomingMessage & { body?: unknown }) | undefined;
    listening.server.on('request', (req: IncomingMessage) => (request = req));
    listening.nodes.withConnection = () => {
      held.push(request?.body, request?.listenerCount('data'));
      return Promise.reject(new Error('the node is away'));
    };
    await exchange(listening, killRequest(7n, '\r\nConnection: close'));
    expect(held).toEqual([{ processes: [7n] }, 0]);
  });
});
