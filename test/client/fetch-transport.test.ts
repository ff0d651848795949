import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SessionControlClient } from '../../src/client/index.ts';
import { createTransport } from '../../src/client/fetch-transport.ts';
import { nodeKey } from '../support/ids.ts';

const received: IncomingMessage[] = [];
let answer = '';
let server: Server;
let client: SessionControlClient;
beforeAll(async () => {
  server = createServer((req, res) => {
    received.push(req.resume());
    if (answer === '') res.destroy();
    else res.end(answer);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = new SessionControlClient({
    endpoint,
    credentials: { token: 'good' },
    transport: createTransport(),
    retries: 0,
  });
});
afterAll(() => {
  server.close();
});

describe('the transport over fetch', () => {
  it('keeps ids exact', async () => {
    answer = '{"processes_killed":[9223372036854775807],"processes_not_found":[]}';
    const { killed } = await client.kill(nodeKey, [9223372036854775807n]);
    expect(killed).toEqual([9223372036854775807n]);
  });

  it('sends a reason as UTF-8', async () => {
    await client.kill(nodeKey, [1n], { reason: '报表' });
    const sent = String(received.at(-1)?.headers['x-kill-reason']);
    expect(Buffer.from(sent, 'latin1').toString('utf8')).toBe('报表');
  });

  it('reports a kill without a response as unknown', async () => {
    answer = '';
    expect(await client.kill(nodeKey, [1n])).toMatchObject({ killed: [], unknown: [1n] });
  });

  it('rejects with the reason of an aborted signal', async () => {
    const reason = new Error('closed');
    await expect(client.list(nodeKey, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
