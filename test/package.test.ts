import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { processesPath } from './support/ids.ts';
import { InstalledPackage } from './support/installed-package.ts';
import { servers, type Server } from './support/server.ts';
import { until } from './support/until.ts';

const [server] = servers as [Server];
/** Limits in bytes of the packed package without /console, with and without the files of swagger-ui-dist, and of /console. */
const [MAX_BYTES, MAX_OWN_BYTES, MAX_CONSOLE_BYTES] = [950_000, 450_000, 300_000];
/** The files that `npm run build` copies from swagger-ui-dist. */
const PAGE = [
  'LICENSE',
  'NOTICE',
  'swagger-ui-bundle.js',
  'swagger-ui-bundle.js.LICENSE.txt',
  'swagger-ui.css',
];

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly license?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock;

let installed: InstalledPackage;
beforeAll(() => {
  installed = new InstalledPackage();
}, 120_000);
afterAll(() => {
  installed.remove();
});

describe('the package', () => {
  it('holds what its users and operators need, and nothing else', () => {
    const besides = installed.files.filter((path) => !path.startsWith('dist/'));
    expect(besides).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'NOTICE',
      'README.md',
      'config/nodes.yaml',
      'config/service.yaml',
      'deploy/account/mariadb.sql',
      'deploy/account/mysql.sql',
      'deploy/account/older.sql',
      'deploy/account/rds-kill.sql',
      'deploy/account/tidb.sql',
      'deploy/grafana/session-control.json',
      'deploy/kubernetes/session-control.yaml',
      'deploy/logrotate/session-control',
      'deploy/prometheus/rules.yaml',
      'deploy/prometheus/scrape.yaml',
      'deploy/systemd/session-control.service',
      'deploy/systemd/session-control.sysusers',
      'docs/api.md',
      'docs/cookbook.md',
      'docs/openapi.yaml',
      'docs/operations.md',
      'docs/sessionctl.md',
      'package.json',
    ]);
    const built = installed.files.filter((path) => path.startsWith('dist/'));
    expect(built).toEqual(expect.arrayContaining(['dist/main.js', 'dist/client/index.d.ts']));
    const page = built.filter((path) => path.startsWith('dist/swagger-ui/'));
    expect(page).toEqual(PAGE.map((name) => `dist/swagger-ui/${name}`));
    const console = built.filter((path) => path.startsWith('dist/console/'));
    expect(console.map((path) => path.replace(/-[\w-]{8}\./, '-HASH.')).sort()).toEqual([
      'dist/console/console/index-HASH.css',
      'dist/console/console/index-HASH.js',
      'dist/console/console/licences.md',
      'dist/console/index.html',
    ]);
    const own = built.filter((path) => ![...page, ...console].includes(path));
    expect(own.filter((path) => !/\.js(\.map)?$|^dist\/client\/.*\.d\.ts$/.test(path))).toEqual([]);
    const bytesOf = (paths: readonly string[]): number =>
      paths
        .map((path) => gzipSync(readFileSync(join(installed.home, path))).length)
        .reduce((sum, bytes) => sum + bytes, 0);
    const withoutConsole = installed.bytes - bytesOf(console);
    expect(withoutConsole - bytesOf(page)).toBeLessThan(MAX_OWN_BYTES);
    expect(withoutConsole).toBeLessThan(MAX_BYTES);
    expect(bytesOf(console)).toBeLessThan(MAX_CONSOLE_BYTES);
  });

  it('holds each document that the cookbook links to, and git ignores its file', () => {
    const cookbook = readFileSync(join(installed.home, 'docs/cookbook.md'), 'utf8');
    const linked = [...cookbook.matchAll(/\]\(([\w./-]+)/g)].map(([, path = '']) => path);
    expect(linked.length).toBeGreaterThan(2);
    expect(installed.files).toEqual(expect.arrayContaining(linked.map((path) => `docs/${path}`)));
    expect(readFileSync('.gitignore', 'utf8').split('\n')).toContain('*.tgz');
  });

  it('depends on no telemetry and on no install script', () => {
    const reached = Object.entries(lock.packages).filter(
      ([path, { dev }]) => path !== '' && dev !== true,
    );
    expect(reached.length).toBeGreaterThan(50);
    expect(reached.filter(([path]) => path.includes('@scarf/'))).toEqual([]);
    expect(reached.filter(([, { hasInstallScript }]) => hasInstallScript === true)).toEqual([]);
  });

  it('contains the licence that its manifest and the lock file name', () => {
    const { home } = installed;
    const manifest = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as LockedPackage;
    expect([manifest.license, lock.packages['']?.license]).toEqual(['Apache-2.0', 'Apache-2.0']);
    expect(readFileSync(join(home, 'LICENSE'), 'utf8')).toMatch(/Apache License\n +Version 2\.0/);
    expect(readFileSync(join(home, 'NOTICE'), 'utf8')).toContain('The session-control authors');
  });

  it('has two commands that run with its declared dependencies alone', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    for (const command of ['session-control', 'sessionctl']) {
      expect(installed.run(command, ['--version'])).toEqual({
        code: 0,
        output: `${command} ${version}\n`,
        messages: '',
      });
    }
  });

  it('serves a real node with the configuration that `init` writes', async () => {
    const { code, output } = installed.run('session-control', ['init']);
    expect(code).toBe(0);
    const [token = ''] = /(?<=^ {2})[0-9a-f]{64}$/m.exec(output) ?? [];
    const changes = [
      ['service.yaml', 'port: 8080', 'port: 0'],
      ['service.yaml', 'format: text', 'format: json'],
      ['nodes.yaml', '# port: 3306', `port: ${server.port}`],
      ['nodes.yaml', 'user: session_control', `user: ${server.control.user}`],
    ] as const;
    for (const [name, from, to] of changes) {
      const file = join(installed.folder, 'config', name);
      writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
    }
    const environment = { NODE_HOST: server.host, NODE_PASSWORD: server.control.password };

    const checked = installed.run('session-control', ['check'], environment);
    expect([checked.code, checked.messages]).toEqual([0, '']);
    let log = '';
    installed.start('session-control', ['start'], environment, (text) => (log += text));
    const listening = (): string | undefined => /.*"listening".*/.exec(log)?.[0];
    await until('it listens', () => listening() !== undefined);

    const { port } = JSON.parse(listening() ?? '') as { port: number };
    const url = `http://127.0.0.1:${port}`;
    const headers = { 'X-Auth-Token': token };
    expect((await fetch(url + processesPath(), { headers })).status).toBe(200);
    expect((await fetch(url + processesPath())).status).toBe(401);
    const page = await (await fetch(`${url}/docs`)).text();
    const parts = [...page.matchAll(/(?:src|href)="(docs\/[^"]+)"/g)].map(([, part]) => `/${part}`);
    expect(parts.length).toBe(3);
    for (const path of ['/openapi.yaml', ...parts]) {
      expect([path, (await fetch(url + path)).status]).toEqual([path, 200]);
    }
  });
});
