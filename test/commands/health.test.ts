import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { health } from '../../src/commands/health.ts';
import { createListener, type ListenerTls } from '../../src/http/listener.ts';
import { selfSigned } from '../support/certificates.ts';
import { fakeNode } from '../support/ids.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { createService } from '../support/service.ts';

const folder = mkdtempSync(join(tmpdir(), 'session-control-health-'));
const file = join(folder, 'service.yaml');
let listener: Server | undefined;
afterEach(() => {
  listener?.close();
  listener?.closeAllConnections();
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Starts a listener of the service. Resolves to its port. */
async function listen(host: string, tls?: ListenerTls): Promise<number> {
  const { app } = createService({ registry: [fakeNode], nodes: new FakeNodes() });
  listener = createListener(app, { requestTimeoutMs: 30_000, log: { log: () => undefined }, tls });
  await once(listener.listen(0, host), 'listening');
  return (listener.address() as AddressInfo).port;
}

/** Runs `session-control health` with this configuration. Resolves to its exit code and its output. */
async function ask(yaml: string): Promise<[number, string]> {
  writeFileSync(file, yaml);
  let said = '';
  const code = await health(file, {}, { write: (text) => (said += text) });
  return [code, said];
}

describe('session-control health', () => {
  it.each(['127.0.0.1', '0.0.0.0', '::'])('reaches a service that listens on %s', async (host) => {
    const port = await listen(host);
    expect(await ask(`server: { host: "${host}", port: ${port} }`)).toEqual([0, '']);
  });

  it('reaches a service with TLS, even if its certificate is self-signed', async () => {
    const port = await listen('127.0.0.1', await selfSigned('own'));
    const tls = 'tls: { cert_file: a, key_file: b }';
    expect(await ask(`server: { port: ${port}, ${tls} }`)).toEqual([0, '']);
  });

  it('needs no client certificate, even if the service requires one', async () => {
    const [own, clients] = [await selfSigned('own'), await selfSigned('clients')];
    const port = await listen('127.0.0.1', { ...own, ca: clients.cert });
    const tls = 'tls: { cert_file: a, key_file: b, client_ca_file: c }';
    expect(await ask(`server: { port: ${port}, ${tls} }`)).toEqual([0, '']);
  });

  it('ignores other errors in the file, because the service runs with its old configuration', async () => {
    const port = await listen('127.0.0.1');
    expect(await ask(`server: { port: ${port} }\nsever: {}`)).toEqual([0, '']);
    const unset = 'identity: { tokens: [{ sha256: "${NOT_SET}" }] }';
    expect(await ask(`server: { port: ${port} }\n${unset}`)).toEqual([0, '']);
  });

  it('reports why it gets no response', async () => {
    const port = await listen('127.0.0.1');
    listener?.close();
    expect(await ask(`server: { port: ${port} }`)).toEqual([
      1,
      `session-control: connect ECONNREFUSED 127.0.0.1:${port}\n`,
    ]);
    expect(await ask('server: { port: 0 }')).toEqual([
      1,
      `session-control: ${file}:1:17: server.port must be an integer from 1 to 65535\n`,
    ]);
  });

  it('reports that another program answers', async () => {
    const port = await listen('127.0.0.1', await selfSigned('own'));
    const [code, said] = await ask(`server: { port: ${port} }`);
    expect([code, said]).toEqual([1, expect.stringMatching(/^session-control: .+\n$/)]);
  });
});
