import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { selfSigned } from '../support/certificates.ts';
import { Home } from './home.ts';

const home = new Home();
let server: Server;
let requests = 0;

beforeAll(async () => {
  const [service, caller] = await Promise.all([selfSigned('service'), selfSigned('caller')]);
  server = createServer({ ...service, ca: caller.cert, requestCert: true }, (_req, res) => {
    requests += 1;
    res.end('{"processes":[],"total_count":0}');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  for (const [name, text] of [
    ['ca.pem', service.cert],
    ['me.pem', caller.cert],
    ['me.key', caller.key],
  ] as const) {
    writeFileSync(join(home.folder, name), text);
  }
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

function list(...words: readonly string[]) {
  const { port } = server.address() as AddressInfo;
  const where = ['--endpoint', `https://localhost:${port}`, '--project', 'p', '--instance', 'i'];
  return home.run(['list', ...where, '--node', 'n', '--token', 't', ...words]);
}

function file(name: string): string {
  return join(home.folder, name);
}

describe('sessionctl over TLS', () => {
  it('sends nothing to a service whose certificate it cannot verify: 69', async () => {
    const { code, messages } = await list();
    expect([code, requests]).toEqual([69, 0]);
    expect(messages).toMatch(/self-signed certificate.*TLS options/);
  });

  it('verifies the service with --ca-file and presents a client certificate', async () => {
    const seen = once(server, 'secureConnection');
    const own = ['--cert-file', file('me.pem'), '--key-file', file('me.key')];
    expect((await list('--ca-file', file('ca.pem'), ...own)).code).toBe(0);
    const [socket] = (await seen) as [{ authorized: boolean }];
    expect(socket.authorized).toBe(true);
  });

  it('verifies no certificate with --insecure', async () => {
    const own = ['--cert-file', file('me.pem'), '--key-file', file('me.key')];
    expect((await list('--insecure', ...own)).code).toBe(0);
  });

  it('reports http to a port with TLS, and https to a port without TLS: 69', async () => {
    const plain = createPlainServer().listen(0, '127.0.0.1');
    await once(plain, 'listening');
    const { port } = server.address() as AddressInfo;
    const { port: plainPort } = plain.address() as AddressInfo;

    const toTls = await list('--endpoint', `http://localhost:${port}`);
    const toPlain = await list('--endpoint', `https://localhost:${plainPort}`, '--insecure');
    plain.close();

    expect([toTls.code, toTls.messages]).toEqual([
      69,
      expect.stringContaining('if the port speaks TLS, its URL begins with https.'),
    ]);
    expect([toPlain.code, toPlain.messages]).toEqual([
      69,
      expect.stringContaining('the port does not speak TLS, so its URL begins with http.'),
    ]);
  });

  it('reports a file that cannot be read: 78', async () => {
    const { code, messages } = await list('--ca-file', file('none.pem'));
    expect([code, messages]).toEqual([78, expect.stringContaining('none.pem cannot be read')]);
  });
});
