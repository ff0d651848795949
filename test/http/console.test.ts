import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { FakeNodes } from '../support/fake-nodes.ts';
import { createService } from '../support/service.ts';

const { app } = createService({ registry: [], nodes: new FakeNodes() });
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
/** The page with its scripts and styles may have this size in bytes, compressed. */
const MAX_BYTES = 300_000;

async function filesOf(page: string): Promise<ReadonlyMap<string, request.Response>> {
  const files = new Map<string, request.Response>();
  for (const [, file = ''] of page.matchAll(/(?:src|href)="\.\/(console\/[^"]+)"/g)) {
    files.set(file, await request(app).get(`/${file}`).expect(200));
  }
  return files;
}

describe('/console', () => {
  it('has a policy without inline scripts, and is never cached', async () => {
    const { headers, text } = await request(app).get('/console').expect(200);
    expect(headers['content-security-policy']).toBe(POLICY);
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(text).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|<form|https?:/);
  });

  it('loads hashed files of this service, which are cached for a year', async () => {
    const { text } = await request(app).get('/console');
    const files = await filesOf(text);
    expect([...files.keys()].map((name) => name.replace(/.*\./, '')).sort()).toEqual(['css', 'js']);
    for (const { headers } of files.values()) {
      expect(headers['cache-control']).toBe('public, max-age=31536000, immutable');
      expect(headers['content-security-policy']).toBe(POLICY);
    }
  });

  it('has at most 300 kB with its files, and sends them compressed', async () => {
    const { text } = await request(app).get('/console');
    let bytes = gzipSync(text).length;
    for (const { headers } of (await filesOf(text)).values()) {
      expect(headers['content-encoding']).toBe('gzip');
      bytes += Number(headers['content-length']);
    }
    expect(bytes).toBeLessThan(MAX_BYTES);
  });

  it('sends the same file to a client that accepts no compression', async () => {
    const read = (encoding: string): request.Test =>
      request(app).get('/console/licences.md').set('Accept-Encoding', encoding).expect(200);
    const [plain, zipped] = [await read('identity'), await read('gzip')];
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(zipped.headers['content-encoding']).toBe('gzip');
    for (const { headers } of [plain, zipped]) expect(headers['vary']).toBe('Accept-Encoding');
    expect(plain.text).toBe(zipped.text);
  });

  it('comes with the licences of everything that is bundled', async () => {
    const { text, headers } = await request(app).get('/console/licences.md').expect(200);
    expect(headers['content-type']).toBe('text/plain; charset=utf-8');
    for (const name of [
      'react-dom',
      '@tanstack/react-query',
      '@ariakit/react-components',
      'lossless-json',
    ]) {
      expect(text).toMatch(new RegExp(`^## ${name} - [\\d.]+ \\(MIT\\)$`, 'm'));
    }
  });

  it('serves no other file', async () => {
    for (const path of [
      '/console/',
      '/console/index.html',
      '/console/..%2findex.html',
      '/consol',
    ]) {
      expect([path, (await request(app).get(path)).status]).toEqual([path, 404]);
    }
  });

  it('names GET and HEAD as the only methods', async () => {
    const { status, headers } = await request(app).post('/console');
    expect([status, headers['allow']]).toEqual([405, 'GET, HEAD']);
  });
});
