import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { canConnect } from './can-connect.ts';
import { end, hasEnded } from './end-process.ts';
import { executables } from './server-binaries.ts';
import { ServerHome } from './server-home.ts';
import { unpackPackages } from './unpacked-packages.ts';

/** A throw-away reverse proxy on 127.0.0.1. */
export interface Proxy {
  readonly port: number;
  /** Ends the proxy and removes its files. */
  stop(): Promise<void>;
}

/** The reverse proxies that the tests use. */
export type ProxyKind = 'nginx' | 'haproxy';

/** The path of a proxy's program, and the folder of its libraries if they are not installed. */
export interface ProxyProgram {
  readonly path: string;
  readonly libraries: string | undefined;
}

const PACKAGES: Readonly<Record<ProxyKind, readonly string[]>> = {
  nginx: ['nginx'],
  haproxy: ['haproxy', 'liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1'],
};
const START_DEADLINE_MS = 10_000;
const START_ATTEMPTS = 5;

/** Finds the proxy on this machine, or fetches it from Debian. Rejects with a sentence if that fails. */
export async function obtainProxy(kind: ProxyKind): Promise<ProxyProgram> {
  const [installed] = executables(kind);
  if (installed !== undefined) return { path: installed, libraries: undefined };
  const tree = await unpackPackages(kind, PACKAGES[kind]);
  const found = readdirSync(tree, { recursive: true, encoding: 'utf8' });
  const library = found.find((name) => /\.so\.\d+$/.test(name));
  return {
    path: join(tree, 'usr/sbin', kind),
    libraries: library === undefined ? undefined : join(tree, library, '..'),
  };
}

/**
 * Starts a proxy, which ends with this process or earlier. `configure` returns the configuration for a port and a folder.
 * Rejects with the log of the proxy if it does not start.
 */
export async function startProxy(
  kind: ProxyKind,
  { path, libraries }: ProxyProgram,
  configure: (port: number, folder: string) => string,
): Promise<Proxy> {
  const home = new ServerHome();
  const file = home.path('proxy.conf');
  const environment = libraries === undefined ? [] : [`LD_LIBRARY_PATH=${libraries}`];
  const options = kind === 'nginx' ? ['-c', file, '-p', home.path('.')] : ['-f', file];
  try {
    for (let attempt = 1; ; attempt += 1) {
      // Below 32768: from there on, Linux takes ports for outgoing connections.
      const port = randomInt(10_000, 32_000);
      if (await canConnect(port)) continue;
      writeFileSync(file, configure(port, home.path('.')));
      const child = home.launch('env', [...environment, path, ...options]);
      if (await isReady(child, port)) {
        child.unref();
        return {
          port,
          stop: async () => {
            await end(child);
            await home.remove();
          },
        };
      }
      await end(child);
      if (attempt === START_ATTEMPTS || !/address already in use/i.test(home.log())) {
        throw new Error(`${kind} did not start:\n${home.log()}`);
      }
    }
  } catch (error) {
    await home.remove();
    throw error;
  }
}

async function isReady(child: ChildProcess, port: number): Promise<boolean> {
  const deadline = performance.now() + START_DEADLINE_MS;
  while (!hasEnded(child) && performance.now() < deadline) {
    if (await canConnect(port)) return !hasEnded(child);
    await sleep(20);
  }
  return false;
}
