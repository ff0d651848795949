import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { request, type RequestOptions } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import {
  createListener,
  replaceTls,
  stopListening,
  type ListenerTls,
} from '../../src/http/listener.ts';
import { selfSigned, type Certificate } from '../support/certificates.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, processesPath } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';

let first: Certificate, second: Certificate, client: Certificate, stranger: Certificate;
beforeAll(async () => {
  [first, second, client, stranger] = (await Promise.all(
    ['first', 'second', 'client', 'stranger'].map(selfSigned),
  )) as [Certificate, Certificate, Certificate, Certificate];
});

let server: Server;
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

async function listen(tls: ListenerTls): Promise<void> {
  const { app } = createService({ registry: [fakeNode], nodes: new FakeNodes() });
  server = createListener(app, { requestTimeoutMs: 30_000, log: { log: () => undefined }, tls });
  await once(server.listen(0, '127.0.0.1'), 'listening');
}

/** Returns the status, and the name in the presented certificate. */
function get(options: RequestOptions): Promise<[number | undefined, string]> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const headers = { 'X-Auth-Token': TOKEN };
    request(
      { host: '127.0.0.1', port, path: processesPath(), headers, agent: false, ...options },
      (res) => {
        const { CN } = (res.socket as TLSSocket).getPeerCertificate().subject;
        resolve([res.statusCode, String(CN)]);
        res.resume();
      },
    )
      .on('error', reject)
      .end();
  });
}

describe('the listener with TLS', () => {
  it('presents its certificate, and another one after a reload', async () => {
    await listen(first);
    expect(await get({ ca: first.cert })).toEqual([200, 'first']);

    replaceTls(server, second);

    expect(await get({ ca: second.cert })).toEqual([200, 'second']);
  });

  it('accepts only clients with a certificate of the configured authority', async () => {
    await listen({ ...first, ca: client.cert });
    const { ca } = { ca: first.cert };

    expect(await get({ ca, ...client })).toEqual([200, 'first']);
    await expect(get({ ca })).rejects.toBeDefined();
    await expect(get({ ca, ...stranger })).rejects.toBeDefined();
  });

  it('closes a connection without a TLS handshake, also when it stops', async () => {
    await listen(first);
    const { port } = server.address() as AddressInfo;
    const idle = connect(port, '127.0.0.1');
    await once(idle, 'connect');
    const garbage = connect(port, '127.0.0.1');
    garbage.write('GET / HTTP/1.1\r\n\r\n');
    await once(garbage.resume(), 'close');
    await stopListening(server, 100);
    await once(idle.resume(), 'close');
    expect(server.listening).toBe(false);
  });

  it('refuses TLS older than 1.2', async () => {
    await listen(first);
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' } as const;
    await expect(
      get({ ca: first.cert, ...old, ciphers: 'DEFAULT@SECLEVEL=0' }),
    ).rejects.toBeDefined();
  });
});

describe('a response', () => {
  it('has the headers of helmet, and neither X-Powered-By nor an ETag', async () => {
    await listen(first);
    const { port } = server.address() as AddressInfo;
    const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: '/', ca: first.cert, agent: false }, (res) => {
        resolve(res.headers);
        res.resume();
      })
        .on('error', reject)
        .end();
    });
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'strict-transport-security': expect.stringContaining('max-age') as unknown,
      'content-security-policy': expect.any(String) as unknown,
      'cache-control': 'no-store',
    });
    expect([headers['x-powered-by'], headers['etag']]).toEqual([undefined, undefined]);
  });
});
