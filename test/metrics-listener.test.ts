import { once } from 'node:events';
import type { Server } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { createMetricsListener } from '../src/metrics/listener.ts';

let server: Server;
const errors: unknown[] = [];
afterEach(async () => {
  server.close();
  await once(server, 'close');
  errors.length = 0;
});

function start(text: () => Promise<string>): void {
  const exposition = { text, contentType: 'text/plain; version=0.0.4' };
  server = createMetricsListener(exposition, (error) => errors.push(error)).listen(0);
}

describe('the port of the metrics', () => {
  it('returns the current metrics on each request', async () => {
    let readings = 0;
    start(() => Promise.resolve(`readings ${(readings += 1)}\n`));
    await request(server).get('/metrics').expect(200, 'readings 1\n');
    const res = await request(server).get('/metrics?name=x').expect(200, 'readings 2\n');
    expect(res.headers).toMatchObject({
      'content-type': 'text/plain; version=0.0.4',
      'cache-control': 'no-store',
    });
  });

  it.each([
    ['get', '/'],
    ['get', '/metrics/'],
    ['get', '/healthz'],
    ['get', '//metrics'],
    ['post', '/metrics'],
    ['head', '/metrics'],
    ['delete', '/metrics'],
  ] as const)('answers %s %s with 404', async (method, path) => {
    start(() => Promise.resolve('secret'));
    const res = await request(server)[method](path);
    expect([res.status, res.text as string | undefined]).toEqual([
      404,
      method === 'head' ? undefined : 'This port answers only GET /metrics.\n',
    ]);
  });

  it('answers 500 without the reason if the metrics cannot be read', async () => {
    const error = new Error('why');
    start(() => Promise.reject(error));
    await request(server)
      .get('/metrics')
      .expect(500, 'The metrics are not available. The log of the service has the reason.\n');
    expect(errors).toEqual([error]);
  });
});
