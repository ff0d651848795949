import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { PACKAGE } from './support/built-package.ts';
import { servers, type Server } from './support/server.ts';
import { ServiceProcess } from './support/service-process.ts';

const [server] = servers as [Server];
const dockerfile = readFileSync('Dockerfile', 'utf8');
const [, , image = ''] = dockerfile.split(/^FROM .*$/m);

interface Copy {
  readonly isBuilt: boolean;
  readonly sources: readonly string[];
  readonly target: string;
}

const copies = [...image.matchAll(/^COPY (--from=build )?(.+) (\S+)$/gm)].map(
  ([, from, sources = '', target = '']): Copy => ({
    isBuilt: from !== undefined,
    sources: sources.split(' ').map((source) => source.replace('/app/', '')),
    target,
  }),
);

/** The words of ENTRYPOINT, CMD or HEALTHCHECK. */
function words(instruction: string): string[] {
  const [, list = ''] = new RegExp(`^${instruction}.*?(\\[.*\\])$`, 'm').exec(image) ?? [];
  return JSON.parse(list) as string[];
}

/** The files that the last stage of the image copies, taken from a build on this machine. */
class Image {
  readonly folder = mkdtempSync(join(tmpdir(), 'session-control-image-'));

  make(): void {
    const built: Readonly<Record<string, string>> = { dist: join(PACKAGE, 'dist') };
    for (const { sources, target } of copies) {
      for (const source of sources) {
        const to = join(this.folder, target, target.endsWith('/') ? basename(source) : '.');
        if (source === 'node_modules') symlinkSync(resolve(source), to);
        else cpSync(built[source] ?? source, to, { recursive: true });
      }
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

describe('the image', () => {
  it('copies only files that exist and that .dockerignore allows', () => {
    const lines = readFileSync('.dockerignore', 'utf8').split('\n');
    const allowed = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    const fromHere = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, sources = '']) => sources.split(' '),
    );
    for (const source of fromHere) {
      const isIn = allowed.some((path) => path === source || path.startsWith(`${source}/`));
      expect([source, isIn, existsSync(source)]).toEqual([source, true, true]);
    }
    expect(lines).toContain('*');
  });
});

it('no install script runs while the image is built', () => {
  const installs = dockerfile.match(/^RUN .*npm (ci|i|install)\b.*$/gm);
  expect(installs).toEqual(['RUN npm ci --ignore-scripts']);
});

describe('a container of the image', () => {
  const made = new Image();
  let service: ServiceProcess;
  beforeAll(() => {
    made.make();
    const [, program = '', ...rest] = [...words('ENTRYPOINT'), ...words('CMD')];
    service = new ServiceProcess({ program: [join(made.folder, program), ...rest] });
  });
  afterAll(() => {
    service.remove();
    made.remove();
  });

  it('serves requests, and its HEALTHCHECK fails once it has stopped', async () => {
    service.configure(server, 'x');
    service.start({ NODE_PASSWORD: server.control.password });
    const url = await service.url();
    expect((await fetch(`${url}/openapi.yaml`)).status).toBe(200);

    // The health check needs the port that the service chose.
    const written = readFileSync(join(service.folder, 'service.yaml'), 'utf8');
    service.write('service.yaml', written.replace('port: 0', `port: ${new URL(url).port}`));
    const [, ...check] = words('HEALTHCHECK');
    const health = (): number | null =>
      spawnSync(process.execPath, check, {
        cwd: made.folder,
        env: { CONFIG_FILE: join(service.folder, 'service.yaml') },
      }).status;
    expect(health()).toBe(0);
    service.signal('SIGTERM');
    await service.ended();
    expect(health()).toBe(1);
  });

  it('can write a configuration with `init`', () => {
    const [, ...init] = [...words('ENTRYPOINT'), 'init', join(made.folder, 'new')];
    const { status } = spawnSync(process.execPath, init, { cwd: made.folder });
    expect(status).toBe(0);
  });
});
