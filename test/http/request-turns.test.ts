import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { paceConnections } from '../../src/http/request-turns.ts';
import { selfSigned, type Certificate } from '../support/certificates.ts';
import { processesPath } from '../support/ids.ts';
import {
  exchange,
  inChunks,
  killRequest,
  startListening,
  stopAllListening,
} from '../support/listening.ts';
import { until } from '../support/until.ts';

afterEach(() => {
  jest.restoreAllMocks();
  stopAllListening();
});

let certificate: Certificate;
beforeAll(async () => {
  certificate = await selfSigned('localhost');
});

const ODD_CODING = 'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n';
/** The number of bytes that Node reads from a socket at once. */
const READ_BYTES = 65_536;
/** More bytes than the request line and the headers have. */
const HEAD_BYTES = 200;
const CLOSE = 'Connection: close';

describe('requests over one connection', () => {
  it.each([
    ['in the clear', false],
    ['over TLS', true],
  ])('are read one at a time, and answered in order: %s', async (_where, isTls) => {
    const listening = await startListening(isTls ? { tls: certificate } : {});
    const { server } = listening;
    const urls: (string | undefined)[] = [];
    let [underWay, most] = [0, 0];
    server.on('request', ({ url }: IncomingMessage, res: ServerResponse) => {
      urls.push(url);
      underWay += 1;
      most = Math.max(most, underWay);
      res.prependOnceListener('close', () => (underWay -= 1));
    });
    const paths = Array.from({ length: 1000 }, (_, n) => `/${n}`);
    const pipelined = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join('');

    const answers = await exchange(listening, `${pipelined}GET / HTTP/1.0\r\n\r\n`);

    expect(answers.match(/HTTP\/1.1 404/g)).toHaveLength(1001);
    expect(urls).toEqual([...paths, '/']);
    expect(most).toBe(1);
  });

  it('are read in order after a body that arrives byte by byte', async () => {
    const { port, nodes } = await startListening();
    const ids = Array.from({ length: 4 }, () => nodes.connect());
    const [first = 0n, second = 0n, third = 0n, fourth = 0n] = ids;
    const chunked = killRequest(second)
      .replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked')
      .replace(
        /\{.*$/,
        (body) =>
          `5\r\n${body.slice(0, 5)}\r\n${(body.length - 5).toString(16)}\r\n${body.slice(5)}\r\n0\r\nX: y\r\n\r\n`,
      );
    const bytes = `${killRequest(first)}${chunked}\r\n${killRequest(third)}${killRequest(fourth, '\r\nConnection: close')}`;
    const socket = connect(port, '127.0.0.1');
    let answers = '';
    socket.setNoDelay().on('data', (data: Buffer) => (answers += String(data)));
    for (const byte of bytes) {
      socket.write(byte);
      await new Promise(setImmediate);
    }
    await until('all are answered', () => socket.closed || answers.split('HTTP/1.1 ').length > 4);
    expect(answers.match(/HTTP\/1.1 \d+/g)).toEqual(Array(4).fill('HTTP/1.1 200'));
    expect(nodes.kills).toEqual(ids);
  });

  it('are not parsed while the client does not read the previous response', async () => {
    const { server, port } = await startListening();
    const come: ServerResponse[] = [];
    server.on('request', (_req, res: ServerResponse) => come.push(res));
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    socket.pause();
    socket.write('GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(200));
    await until('an answer waits for its client', () => come.at(-1)?.writableNeedDrain === true);
    expect(come.length).toBeLessThan(200);
    expect(come.slice(0, -1).every(({ closed }) => closed)).toBe(true);
    socket.resetAndDestroy();
    await until('all have closed', () => come.every(({ closed }) => closed));
  });

  it('do not hide the end of their connection while one of them is incomplete', async () => {
    const { server, port } = await startListening();
    const come: ServerResponse[] = [];
    server.prependListener('request', (_req, res: ServerResponse) => come.push(res));
    const socket = connect(port, '127.0.0.1');
    socket.write(`DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{`);
    await until('it has arrived', () => come.length === 1);
    socket.resetAndDestroy();
    await until('it has closed', () => come[0]?.closed === true);
  });
});

/** A piece of the body has at most 512 chunks, and a turn of the event loop at most 4 pieces. */
const MAX_CHUNKS_IN_TURN = 2048;

describe('a body in chunks', () => {
  it.each([
    ['large chunks', 16_000, 500],
    ['chunks of one byte', 1, 200_000],
  ])('is not read ahead of the parser: %s', async (_which, size, count) => {
    const [copied, ahead, inTurn] = [{ bytes: 0 }, { most: 0 }, { now: 0, most: 0 }];
    const concat = Buffer.concat.bind(Buffer);
    jest.spyOn(Buffer, 'concat').mockImplementation((pieces, length) => {
      const whole = concat(pieces, length);
      copied.bytes += whole.length;
      return whole;
    });
    const server = createServer((req, res) => {
      let parsed = 0;
      req.on('data', (piece: Buffer) => {
        if (inTurn.now === 0) setImmediate(() => (inTurn.now = 0));
        inTurn.now += 1;
        inTurn.most = Math.max(inTurn.most, inTurn.now);
        parsed += (piece.length / size) * chunk.length;
        ahead.most = Math.max(ahead.most, req.socket.bytesRead - parsed);
      });
      req.on('end', () => res.end());
    });
    paceConnections(server, 'connection', (socket) => socket.destroy());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const chunk = `${size.toString(16)}\r\n${'a'.repeat(size)}\r\n`;
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n');
    socket.write(`Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(count)}0\r\n\r\n`);

    expect(await text(socket)).toMatch(/^HTTP\/1.1 200 /);
    expect(ahead.most).toBeLessThanOrEqual(2 * READ_BYTES + chunk.length + HEAD_BYTES);
    expect(copied.bytes).toBeLessThanOrEqual(chunk.length * count);
    expect(inTurn.most).toBeLessThanOrEqual(MAX_CHUNKS_IN_TURN);
    server.close();
  });
});

describe('while a thousand connections of one address send requests again and again', () => {
  const nope = 'GET /nope HTTP/1.1\r\nHost: a\r\n\r\n';
  const signedIn = `GET ${processesPath()} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: b\r\n\r\n`;

  it.each([
    ['probes', nope.replace('nope', 'healthz')],
    ['requests for an unknown path', nope],
    ['pipelined requests', nope.repeat(20)],
    ['wrong tokens', signedIn],
  ])('a kill over a new connection waits for few others: %s', async (_what, bytes) => {
    const { server, port, nodes } = await startListening();
    const crowd = [port, '127.0.0.2', 1, 1000, JSON.stringify(bytes)].map(String);
    const flood = fork('test/support/flood-process.ts', crowd, { execArgv: ['--import', 'tsx'] });
    let carriedOut = 0;
    /** Returns how many requests the service carries out before it answers a kill from the address. */
    const carriedOutDuring = async (localAddress: string, change = (kill: string) => kill) => {
      const before = carriedOut;
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      socket.write(change(killRequest(nodes.connect(), `\r\n${CLOSE}`)));
      expect(await text(socket)).toMatch(/^HTTP\/1.1 200 /);
      return carriedOut - before;
    };
    const inPieces = (kill: string): string =>
      inChunks(kill.replace('{', `${' '.repeat(20_000)}{`), 1000);
    try {
      await once(flood, 'message');
      server.on('request', () => (carriedOut += 1));

      const whole = await carriedOutDuring('127.0.0.1');
      const chunked = await carriedOutDuring('127.0.0.1', inPieces);
      const amongThem = await carriedOutDuring('127.0.0.2', inPieces);
      process.stdout.write(`requests carried out: ${whole}, ${chunked}, ${amongThem}\n`);
      expect(Math.max(whole, chunked)).toBeLessThan(100);
      // The head takes one round, the body another.
      expect(amongThem).toBeLessThan(3000);
    } finally {
      flood.kill();
    }
  });
});

describe('a connection', () => {
  const delayed = (path: string): string => `POST ${path} HTTP/1.1\r\nHost: a\r\nX: `;

  it.each([
    [
      'an odd Transfer-Encoding',
      400,
      `DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\n${ODD_CODING}`,
    ],
    [
      'an odd Transfer-Encoding of a probe',
      200,
      `GET /healthz HTTP/1.1\r\nHost: a\r\n${ODD_CODING}`,
    ],
    [
      'an odd Transfer-Encoding for an unknown path',
      400,
      `GET /x HTTP/1.1\r\nHost: a\r\n${ODD_CODING}`,
    ],
    [
      'chunked in HTTP/1.0',
      400,
      `DELETE ${processesPath()} HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['another HTTP version', 400, 'GET / HTTP/2.0\r\nHost: a\r\n\r\n'],
    ['a text that is not HTTP', 400, 'hello\r\n\r\n'],
    [
      'two lengths',
      400,
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['HTTP/1.0', 404, 'GET / HTTP/1.0\r\n\r\n'],
    ['a close that the client requests', 404, `GET / HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\n\r\n`],
    [
      'a body that is too large',
      413,
      `DELETE ${processesPath()} HTTP/1.1\r\nHost: a\r\n${CLOSE}\r\nContent-Length: 999999\r\n\r\n`,
    ],
    [
      'headers that are too large',
      431,
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`,
    ],
    ['too many headers', 431, `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(200)}\r\n`],
    [
      'too many headers of a probe',
      200,
      `GET /healthz HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(200)}\r\n`,
    ],
    [
      'a length after too many headers',
      431,
      `POST / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(2000)}Content-Length: 4\r\n\r\nbody`,
    ],
    [
      'an unknown expectation',
      404,
      `GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n${CLOSE}\r\n\r\n`,
    ],
    [
      'an upgrade',
      404,
      `GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade, close\r\n\r\n`,
    ],
    ['a CONNECT', 405, 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('carries out nothing more after %s', async (_what, status, bytes) => {
    const listening = await startListening();
    const { nodes } = listening;
    const id = nodes.connect();

    const answer = await exchange(listening, bytes + killRequest(id), killRequest(id));

    expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
    expect(answer).toMatch(/^connection: close\r$/im);
    expect(nodes.kills).toEqual([]);
  });

  it.each([
    ['headers that come too slowly', (id: bigint) => [delayed('/x'), `\r\n\r\n${killRequest(id)}`]],
    [
      'a DELETE whose headers come too slowly',
      (id: bigint) => [killRequest(id).slice(0, 80), killRequest(id).slice(80)],
    ],
    [
      'a DELETE whose body comes too slowly',
      (id: bigint) => [killRequest(id).slice(0, -3), killRequest(id).slice(-3)],
    ],
    [
      'a DELETE whose chunks come too slowly',
      (id: bigint) => {
        const [head = '', body = ''] = killRequest(id).split('\r\n\r\n');
        const coded = head.replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked');
        return [`${coded}\r\n\r\n${body.length.toString(16)}\r\n${body}`, '\r\n0\r\n\r\n'];
      },
    ],
  ])('carries out nothing more after %s', async (_what, parts) => {
    const listening = await startListening({ requestTimeoutMs: 300 });
    const { nodes, events } = listening;
    const id = nodes.connect();
    const [first = '', rest = ''] = parts(id);

    const answer = await exchange(listening, first, rest + killRequest(id));

    expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 408']);
    expect(nodes.kills).toEqual([]);
    expect(events.filter(({ message }) => message === 'kill')).toEqual([]);
  });

  it('stays open after a request for an upgrade, which the service ignores', async () => {
    const listening = await startListening();
    const { nodes } = listening;
    const id = nodes.connect();
    const upgrade = 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n';
    const answer = await exchange(listening, upgrade + killRequest(id, `\r\n${CLOSE}`));
    expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 200']);
    expect(nodes.kills).toEqual([id]);
  });
});
