import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { selfSigned, type Certificate } from '../support/certificates.ts';
import { inChunks, killRequest, startListening, stopAllListening } from '../support/listening.ts';
import { until } from '../support/until.ts';

/** The number of concurrent requests beyond which others wait. */
const PLACES = 192;

afterEach(stopAllListening);

let certificate: Certificate;
beforeAll(async () => {
  certificate = await selfSigned('localhost');
});

/** Sends `bytes`, closes the side of the client, and returns the responses. */
async function sendAll(port: number, isTls: boolean, bytes: string): Promise<string> {
  const where = { port, host: '127.0.0.1', allowHalfOpen: true };
  const socket = isTls ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where);
  await once(socket, isTls ? 'secureConnect' : 'connect');
  socket.end(bytes);
  return text(socket);
}

const statuses = (answers: string): string[] => answers.match(/HTTP\/1.1 \d+/g) ?? [];

describe.each([
  ['in the clear', false],
  ['over TLS', true],
])('a client that closes its side after the last request, %s,', (_where, isTls) => {
  const start = () => startListening(isTls ? { tls: certificate } : {});

  it.each([1, 2, 3, 4, 50])('gets a response to each of %d pipelined requests', async (count) => {
    const { port, nodes } = await start();
    const ids = Array.from({ length: count }, () => nodes.connect());
    const answers = await sendAll(port, isTls, ids.map((id) => killRequest(id)).join(''));
    expect(statuses(answers)).toEqual(ids.map(() => 'HTTP/1.1 200'));
    expect(nodes.kills).toEqual(ids);
  });

  it.each([100, 3000, 20_000, 200_000])(
    'gets a response to a request with a chunked body of %d bytes',
    async (length) => {
      const { port, nodes } = await start();
      const ids = [nodes.connect(), nodes.connect()];
      const requests = ids.map((id) =>
        inChunks(killRequest(id).replace('{', `${' '.repeat(length)}{`), 1000),
      );
      expect(statuses(await sendAll(port, isTls, requests.join('')))).toEqual([
        'HTTP/1.1 200',
        'HTTP/1.1 200',
      ]);
      expect(nodes.kills).toEqual(ids);
    },
  );

  it('gets a response to a request that waits for admission', async () => {
    const { server, port, nodes } = await start();
    let come = 0;
    server.on('request', () => (come += 1));
    const withConnection = nodes.withConnection.bind(nodes);
    const goOn: (() => void)[] = [];
    nodes.withConnection = async (node, deadline, work) => {
      if (come <= PLACES) await new Promise<void>((resolve) => goOn.push(resolve));
      return withConnection(node, deadline, work);
    };
    const kill = () => sendAll(port, isTls, killRequest(nodes.connect()));
    const before = Array.from({ length: PLACES }, kill);
    await until('all places are taken', () => goOn.length === PLACES);
    const last = kill();
    await until('the last one has arrived', () => come > PLACES);
    for (const resolve of goOn) resolve();
    for (const answer of await Promise.all([...before, last]))
      expect(statuses(answer)).toEqual(['HTTP/1.1 200']);
  });

  it('gets the refusal of an incomplete request after the response to the previous one', async () => {
    const { port, nodes } = await start();
    const [first, second] = [nodes.connect(), nodes.connect()];
    const answers = await sendAll(
      port,
      isTls,
      killRequest(first) + killRequest(second).slice(0, -1),
    );
    expect(statuses(answers)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']);
    expect(nodes.kills).toEqual([first]);
  });
});
