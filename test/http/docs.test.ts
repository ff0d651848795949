import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import request from 'supertest';
import { docsRoutes } from '../../src/http/public-routes.ts';
import { obtainChromium } from '../../tools/program.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { killRequest, startListening, stopAllListening } from '../support/listening.ts';
import { createService } from '../support/service.ts';
import { itNeeds } from '../support/needs.ts';
import { until } from '../support/until.ts';

const { app } = createService({ registry: [], nodes: new FakeNodes() });
const chromium = await obtainChromium().catch((error: unknown) => error as Error);
function withChromium(name: string, test: () => Promise<void>): void {
  itNeeds(typeof chromium === 'string' ? undefined : chromium.message, name, test);
}

afterEach(stopAllListening);

describe('/', () => {
  const BROWSER = 'text/html,application/xhtml+xml,*/*;q=0.8';
  const linksOf = (page: string): string[] =>
    [...page.matchAll(/href="(\w+)"/g)].map(([, to = '']) => to);

  it('leads browsers to the pages of the service', async () => {
    const { text: page } = await request(app).get('/').set('Accept', BROWSER).expect(200);
    expect(linksOf(page)).toEqual(['console', 'docs']);
    for (const to of linksOf(page)) await request(app).get(`/${to}`).expect(200);
  });

  it('has no link to a page that is switched off', async () => {
    const without = express().use(docsRoutes(false));
    const { text: page } = await request(without).get('/').set('Accept', BROWSER).expect(200);
    expect(linksOf(page)).toEqual(['docs']);
  });

  it.each([undefined, '*/*', 'application/json'])(
    'is not part of the API (Accept: %s)',
    async (accept) => {
      const sent = request(app).get('/');
      if (accept !== undefined) void sent.set('Accept', accept);
      const { status, body } = (await sent) as { status: number; body: object };
      expect([status, body]).toEqual([404, expect.objectContaining({ error_code: 'APIGW.0101' })]);
    },
  );
});

it('the service buffers one piece of a file for a client that does not read', async () => {
  const { server, port } = await startListening();
  const come: ServerResponse[] = [];
  server.on('request', (_req, res: ServerResponse) => come.push(res));
  const socket = connect(port, '127.0.0.1').pause();
  socket.write('GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20));
  const held = (): number => come.at(-1)?.socket?.writableLength ?? 0;
  await until('the client keeps it waiting', () => held() > 0);
  expect(held()).toBeLessThan(100_000);
  socket.destroy();
});

it('the service sends one piece of a file in each turn of the event loop to many clients', async () => {
  const { server, port, nodes } = await startListening();
  const readers: Socket[] = [];
  server.on('connection', (socket) => readers.push(socket));
  const file = JSON.stringify('GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n');
  const crowd = [port, '127.0.0.2', 50, 300, file].map(String);
  const flood = fork('test/support/flood-process.ts', crowd, { execArgv: ['--import', 'tsx'] });
  try {
    await once(flood, 'message');
    const written = (): number => readers.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0);
    const before = written();
    const kill = connect(port, '127.0.0.1');
    kill.write(killRequest(nodes.connect(), '\r\nConnection: close'));
    expect(await text(kill)).toMatch(/^HTTP\/1.1 200 /);
    const pieces = (written() - before) / 16_384;
    process.stdout.write(`pieces sent: ${pieces.toFixed()}\n`);
    expect(pieces).toBeLessThan(100);
  } finally {
    flood.kill();
  }
});

describe('/docs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'session-control-docs-'));
  let server: Server;
  let url = '';
  beforeAll(async () => {
    server = createServer(app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/docs`;
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  it('loads its parts from this service alone, and its policy forbids other sources', async () => {
    const { text, headers } = await request(app).get('/docs');
    expect(headers['content-security-policy']).toMatch(/default-src 'self'.*script-src 'self'/);
    expect(text).not.toMatch(/(src|href)="(https?:)?\/\//);
    for (const [, asset = ''] of text.matchAll(/(?:src|href)="(docs\/[^"]+)"/g)) {
      expect([asset, (await request(app).get(`/${asset}`)).status]).toEqual([asset, 200]);
    }
  });

  it('does not upgrade a browser to TLS', async () => {
    const { headers } = await request(app).get('/docs');
    expect(headers['content-security-policy']).not.toContain('upgrade-insecure-requests');
    const others = await request(app).get('/openapi.yaml');
    expect(others.headers['content-security-policy']).toContain('upgrade-insecure-requests');
  });

  it('serves no other file', async () => {
    for (const path of [
      '/docs/',
      '/docs/package.json',
      '/docs/..%2fpackage.json',
      '/docs/index.html',
    ]) {
      expect([path, (await request(app).get(path)).status]).toEqual([path, 404]);
    }
  });

  it('accepts GET and HEAD only', async () => {
    for (const path of ['/docs', '/openapi.yaml']) {
      const { status, headers } = await request(app).post(path);
      expect([path, status, headers['allow']]).toEqual([path, 405, 'GET, HEAD']);
      // The service ignores Range.
      expect((await request(app).get(path).set('Range', 'bytes=0-9')).status).toBe(200);
    }
  });

  withChromium('shows every call in Chromium, without an error in the console', async () => {
    const { output, complaints } = await browse(['--dump-dom', url]);
    for (const path of ['/processes', '/capabilities', '/healthz', '/readyz']) {
      expect(output).toContain(`data-path="`);
      expect(output.replaceAll('<wbr>', '').replaceAll('​', '')).toContain(path);
    }
    expect(output).toContain('End user sessions');
    for (const button of ['try-out__btn', 'authorize']) expect(output).not.toContain(button);
    expect(complaints).toEqual([]);
  });

  withChromium('can be captured as a screenshot', async () => {
    const file = join(folder, 'docs.png');
    await browse([`--screenshot=${file}`, '--window-size=1200,1600', url]);
    const picture = readFileSync(file);
    expect(picture.subarray(1, 4).toString()).toBe('PNG');
    expect([picture.readUInt32BE(16), picture.readUInt32BE(20)]).toEqual([1200, 1600]);
    // The screenshot of an empty page has about 10 KB.
    expect(picture.length).toBeGreaterThan(50_000);
  });

  /** Opens the page in Chromium, and returns the output and the messages of the console. */
  async function browse(
    further: readonly string[],
  ): Promise<{ readonly output: string; readonly complaints: readonly string[] }> {
    const child = spawn(String(chromium), [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      `--user-data-dir=${join(folder, 'profile')}`,
      '--enable-logging=stderr',
      '--virtual-time-budget=20000',
      ...further,
    ]);
    let [output, log] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
    await once(child, 'close');
    return { output, complaints: log.split('\n').filter((line) => line.includes('CONSOLE')) };
  }
});
