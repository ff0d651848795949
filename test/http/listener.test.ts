import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { request, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createListener, stopListening } from '../../src/http/listener.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, processesPath } from '../support/ids.ts';
import { killRequest } from '../support/listening.ts';
import { createService, TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

const running: Server[] = [];
afterEach(() => {
  for (const server of running.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function listen(nodes = new FakeNodes(), requestTimeoutMs = 30_000) {
  const { app, events } = createService({ registry: [fakeNode], nodes });
  const log = (level: string, message: string, fields: object): number =>
    events.push({ level, message, fields });
  const server = createListener(app, { requestTimeoutMs, log: { log } });
  running.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return { server, port, events };
}

/** Sends the bytes, and returns what the server sends until it closes. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  return text(socket);
}

function kill(port: number, id: bigint, agent?: false): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const body = `{"processes":[${id}]}`;
    const headers = {
      'X-Auth-Token': TOKEN,
      'Content-Type': 'application/json',
      'Content-Length': body.length,
    };
    const options = {
      port,
      method: 'DELETE',
      path: processesPath(),
      headers,
      ...(agent === false && { agent }),
    };
    request(options, resolve).on('error', reject).end(body);
  });
}

describe('a request that the parser accepts', () => {
  it('has the prototype of Express from the start, and so has its response: V8 keeps its optimizations', async () => {
    const { server, port } = await listen();
    const made: (object | null)[] = [];
    let seen: object[] = [];
    server.prependListener('request', (req, res) => {
      seen = [req, res];
      made.push(...seen.map((message) => Object.getPrototypeOf(message) as object | null));
    });

    const { statusCode } = await kill(port, 8n);

    expect(statusCode).toBe(200);
    expect(made).toHaveLength(2);
    expect(seen.map((message, at) => Object.getPrototypeOf(message) === made[at])).toEqual([
      true,
      true,
    ]);
    expect(seen.every((message) => 'app' in message)).toBe(true);
  });
});

describe('the listener', () => {
  it.each([
    ['a text that is not HTTP', 'hello\r\n\r\n', 400, 'APIGW.0201'],
    [
      'headers that are too large',
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`,
      431,
      'APIGW.0201',
    ],
    [
      'two lengths',
      `DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
      400,
      'APIGW.0201',
    ],
    ['a request without Host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'APIGW.0201'],
    ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n', 405, 'APIGW.0101'],
    [
      'an unknown expectation',
      'GET / HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\nConnection: close\r\n\r\n',
      404,
      'APIGW.0101',
    ],
  ])('answers %s with an error of the contract', async (_what, bytes, status, code) => {
    const { port, events } = await listen();

    const answer = await exchange(port, bytes);

    const [head = '', body = ''] = answer.split('\r\n\r\n');
    const requestId = /^X-Request-Id: ([0-9a-f]{32})$/im.exec(head)?.[1];
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(body)).toMatchObject({ error_code: code, request_id: requestId });
    await until('it is logged', () => events.length === 1);
    expect(events).toMatchObject([
      { message: 'request', fields: { status, request_id: requestId } },
    ]);
  });

  it('answers complete requests that arrive while the process is blocked beyond their timeout', async () => {
    let hasStood = false;
    const standStill = (): void => {
      if (hasStood) return;
      hasStood = true;
      const end = performance.now() + 1500;
      while (performance.now() < end);
    };
    const server = createListener(
      (req, res) => {
        standStill();
        req.resume().on('end', () => res.end());
      },
      { requestTimeoutMs: 300, log: { log: () => undefined } },
    );
    running.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;

    const answers = await Promise.all(Array.from({ length: 20 }, () => kill(port, 1n, false)));

    expect(answers.map(({ statusCode }) => statusCode)).toEqual(answers.map(() => 200));
  });

  it('answers 408 to a client that sends its headers too slowly', async () => {
    const { port } = await listen(new FakeNodes(), 300);

    const answer = await exchange(port, 'GET / HTTP/1.1\r\nHost: a\r\nX: ');

    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer).toContain('"error_code":"APIGW.0201"');
  });

  it('answers 408 to a client that sends its body too slowly', async () => {
    const { port, events } = await listen(new FakeNodes(), 300);

    const answer = await exchange(
      port,
      `DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n{"proc`,
    );

    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer.split('HTTP/1.1')).toHaveLength(2);
    const requestId = /^X-Request-Id: (.*)$/m.exec(answer)?.[1]?.trim();
    await until('it is logged', () => events.length > 0);
    const fields = { status: 408, request_id: requestId, error_code: 'APIGW.0201' };
    expect(events).toMatchObject([{ level: 'info', fields }]);
    expect(events[0]?.fields).toMatchObject({ client_gone: undefined });
  });

  it('logs a body with a malformed end once, with the status of the response', async () => {
    const { port, events } = await listen();
    const head = `DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked`;
    expect(await exchange(port, `${head}\r\n\r\n3\r\nabc\r\nno size`)).toMatch(/^HTTP\/1.1 400 /);
    await until('it is logged', () => events.length > 0);
    expect(events).toMatchObject([{ fields: { status: 400, method: 'DELETE' } }]);
  });

  it('logs a malformed request behind an unanswered one with its own status', async () => {
    const nodes = new FakeNodes();
    const id = nodes.connect();
    const { port, events } = await listen(nodes);
    const broken = `DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno size`;
    await exchange(port, killRequest(id) + broken);
    const statuses = (): unknown[] =>
      events.flatMap(({ message, fields }) =>
        message === 'request' ? [(fields as { status: number }).status] : [],
      );
    await until('both are logged', () => statuses().length >= 2);
    expect(statuses().toSorted()).toEqual([200, 400]);
  });

  describe('with a body that is too large', () => {
    const head = (more: string): string =>
      `DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\n${more}\r\n\r\n`;

    it.each([
      ['the Content-Length', head('Content-Length: 999999999')],
      [
        'the bytes that arrived',
        `${head('Transfer-Encoding: chunked')}fffff\r\n${'a'.repeat(270_000)}`,
      ],
    ])('answers 413 because of %s, without waiting for the rest', async (_what, sent) => {
      const { port, events } = await listen();
      const socket = connect(port, '127.0.0.1');
      socket.write(sent);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(String(answer)).toMatch(/^HTTP\/1.1 413 /);
      await until('it is logged', () => events.length > 0);
      expect(events).toMatchObject([{ fields: { status: 413 } }]);
      socket.destroy();
    });

    it.each([
      ['answers 413 to an Expect: 100-continue', 262_145, /^HTTP\/1.1 413 /],
      ['answers 100 Continue if the body is small enough', 21, /^HTTP\/1.1 100 Continue\r\n\r\n$/],
    ])('%s', async (_what, length, expected) => {
      const { port } = await listen();
      const socket = connect(port, '127.0.0.1');
      socket.write(head(`Content-Length: ${length}\r\nExpect: 100-continue`));
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(String(answer)).toMatch(expected);
      socket.destroy();
    });

    it('does not answer 100 Continue in HTTP/1.0, which lacks that status', async () => {
      const { port } = await listen();
      const old = killRequest(8n, '\r\nExpect: 100-continue').replace('HTTP/1.1', 'HTTP/1.0');
      expect(await exchange(port, old)).toMatch(/^HTTP\/1.1 200 /);
    });

    it('answers the next request', async () => {
      const { port } = await listen();
      const tooLarge = `${head('Content-Length: 270000')}${'a'.repeat(270_000)}`;
      const answer = await exchange(port, `${tooLarge}${head('Connection: close')}`);
      expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 413', 'HTTP/1.1 401']);
    });
  });

  it.each([
    ['garbage', '', 'garbage\r\n\r\n'],
    ['garbage after an unknown expectation', '\r\nExpect: miracles', 'x'],
    ['a CONNECT', '', 'CONNECT localhost:3306 HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ])(
    'reports the kills of a request although a malformed one follows: %s',
    async (_what, more, behind) => {
      const nodes = new FakeNodes();
      const id = nodes.connect();
      const { port } = await listen(nodes);

      const answer = await exchange(port, killRequest(id, more) + behind);

      expect(answer).toMatch(/^HTTP\/1.1 200 /);
      expect(answer).toContain(`{"processes_killed":[${id}],"processes_not_found":[]}`);
    },
  );

  it('reports the kills to a client that closes its side after the request', async () => {
    const nodes = new FakeNodes();
    const id = nodes.connect();
    const { port } = await listen(nodes);
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(killRequest(id, '\r\nConnection: close'));
    expect(await text(socket)).toContain(`{"processes_killed":[${id}],"processes_not_found":[]}`);
  });

  it('accepts a token of 32 KB', async () => {
    const { port } = await listen();
    const answer = await exchange(
      port,
      `GET ${processesPath()} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: ${'a'.repeat(32_768)}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toContain('decrypt token fail');
  });
});

describe('stopping', () => {
  it('finishes a request whose kills have begun, and accepts no other', async () => {
    const nodes = new FakeNodes();
    const id = nodes.connect();
    let answerList: (() => void) | undefined;
    const withConnection = nodes.withConnection.bind(nodes);
    nodes.withConnection = async (node, deadline, work) => {
      await new Promise<void>((resolve) => (answerList = resolve));
      return withConnection(node, deadline, work);
    };
    const { server, port } = await listen(nodes);
    const answered = kill(port, id);
    await until('the request is under way', () => answerList !== undefined);

    const stopped = stopListening(server, 10_000);
    await expect(kill(port, id, false)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    answerList?.();

    const answer = await answered;
    expect([answer.statusCode, await text(answer)]).toEqual([
      200,
      `{"processes_killed":[${id}],"processes_not_found":[]}`,
    ]);
    await stopped;
    expect(server.listening).toBe(false);
  });

  it('closes a connection whose request hangs at the deadline', async () => {
    const nodes = new FakeNodes();
    let isHung = false;
    nodes.withConnection = () => {
      isHung = true;
      return new Promise(() => undefined);
    };
    const { server, port } = await listen(nodes);
    const answered = kill(port, 1n);
    const hangup = expect(answered).rejects.toMatchObject({ code: 'ECONNRESET' });
    await until('the request hangs', () => isHung);

    await stopListening(server, 100);

    await hangup;
  });
});
