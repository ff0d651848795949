import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { PACKAGE } from './support/built-package.ts';
import { servers, type Server } from './support/server.ts';
import { ServiceProcess } from './support/service-process.ts';

const [server] = servers as [Server];
const folder = mkdtempSync(join(tmpdir(), 'session-control-unbuilt-'));
const [page, docs] = [join(folder, 'dist/console/'), join(folder, 'dist/swagger-ui/')];
let service: ServiceProcess;
beforeAll(() => {
  cpSync(PACKAGE, folder, { recursive: true, verbatimSymlinks: true });
  rmSync(page, { recursive: true });
  rmSync(docs, { recursive: true, force: true });
});
beforeEach(() => {
  service = new ServiceProcess({ program: [join(folder, 'dist/main.js')] });
});
afterEach(() => {
  service.remove();
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function start(settings = ''): Promise<string> {
  service.configure(server, 'token', { service: settings });
  service.start({ NODE_PASSWORD: server.control.password });
  return service.url();
}

describe('a service whose build was skipped', () => {
  it('names the missing folder of the page and the command that makes it', async () => {
    const url = await start();
    expect((await fetch(`${url}/console`)).status).toBe(404);
    expect(service.events('pages not built')).toMatchObject([
      {
        level: 'warn',
        missing: [page],
        effect: '/console cannot be shown: run `npm run build`',
      },
    ]);
  });

  it('says nothing about a page that is switched off', async () => {
    await start('console: false');
    expect(service.events('pages not built')).toEqual([]);
  });

  it('names the missing folder of /docs too, without the development dependency', async () => {
    const modules = join(folder, 'node_modules');
    rmSync(modules);
    mkdirSync(modules);
    for (const name of readdirSync('node_modules')) {
      if (name !== 'swagger-ui-dist') {
        symlinkSync(resolve('node_modules', name), join(modules, name));
      }
    }
    await start();
    expect(service.events('pages not built')).toMatchObject([
      { missing: [page, docs], effect: '/console and /docs cannot be shown: run `npm run build`' },
    ]);
  });
});
