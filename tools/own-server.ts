import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeDataDirectory } from './data-directory.ts';
import { end, hasEnded } from './end-process.ts';
import type { DatabaseNode } from './database-node.ts';
import { complaint, obtainBinaries, type ServerKind } from './server-binaries.ts';
import { ServerHome } from './server-home.ts';
import { identify, type ServerIdentity, type ServerLogin } from './server-login.ts';

/** A server that we started. */
export interface OwnServer extends DatabaseNode {
  /** Ends the process without warning and starts another one on the same data; ready when it lets in, at once. */
  restart(): Promise<void>;
  /** Returns what the server wrote to its log since it was last started. */
  log(): string;
}

export interface ServerOptions {
  /** Further options of the server, such as `--server-id=2`; they win over ours. */
  readonly arguments?: readonly string[];
  /** Further variables of its environment. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly say?: (line: string) => void;
}

/** Younger than that, a server may have started after a request came in: the service sends no KILL then. */
const SETTLED_SECONDS = 3;
const START_DEADLINE_MS = 60_000;
const START_ATTEMPTS = 5;

/**
 * Starts a throw-away server from this machine's MariaDB (10.5 or newer) or MySQL (8.0.14 or newer;
 * fetched from Debian if there is none), with an event scheduler, a binary log, a spare port and a
 * `root` without password on 127.0.0.1. It ends with this process at the latest, and its files too.
 * Rejects with a sentence, followed by what was logged last, when it does not start.
 */
export async function startServer(
  kind: ServerKind,
  options: ServerOptions = {},
): Promise<OwnServer> {
  const binaries = await obtainBinaries(kind, options.say ?? (() => undefined));
  const home = new ServerHome();
  try {
    await makeDataDirectory(kind, binaries.installer, home);
    return await serve(kind, binaries.server, options, home);
  } catch (error) {
    await home.remove();
    throw error;
  }
}

/** Says in a sentence why `startServer` cannot work here, if so. Fetches MySQL; never rejects. */
export async function whyNoServer(kind: ServerKind): Promise<string | undefined> {
  return await obtainBinaries(kind, () => undefined).then(() => undefined, complaint);
}

async function serve(
  kind: ServerKind,
  server: string,
  { arguments: further = [], environment }: ServerOptions,
  home: ServerHome,
): Promise<OwnServer> {
  for (let attempt = 1; ; attempt++) {
    // Below 32768, where the system begins to take ports for outgoing connections.
    const port = 2 * randomInt(5_000, 16_000);
    const adminPort = port + 1;
    const login = { host: '127.0.0.1', port, rootUser: 'root', rootPassword: '' };
    const options = [...serverOptions(kind, port, adminPort, home), ...further];
    let child = home.launch(server, options, undefined, environment);
    const identity = await whenReady(child, login, home, SETTLED_SECONDS);
    if (identity !== undefined) {
      const { flavour, version } = identity;
      const stop = async (): Promise<void> => {
        await end(child);
        await home.remove();
      };
      const restart = async (): Promise<void> => {
        await end(child);
        child = home.launch(server, options, undefined, environment);
        const again = await whenReady(child, login, home, 0);
        if (again === undefined) throw home.failure(`${server} did not start again`);
        child.unref();
      };
      child.unref();
      const started = {
        flavour,
        version,
        ...login,
        adminPort,
        ...(child.pid && { pid: child.pid }),
      };
      return { ...started, stop, restart, log: () => home.log() };
    }
    await end(child);
    if (attempt === START_ATTEMPTS || !/address already in use/i.test(home.log())) {
      throw home.failure(`${server} did not start`);
    }
  }
}

function serverOptions(
  kind: ServerKind,
  port: number,
  adminPort: number,
  home: ServerHome,
): string[] {
  const options = {
    mariadb: [`--extra-port=${adminPort}`, '--extra-max-connections=2'],
    mysql: [
      '--admin-address=127.0.0.1',
      `--admin-port=${adminPort}`,
      '--mysqlx=OFF',
      '--secure-file-priv=NULL',
    ],
  };
  return [
    '--no-defaults',
    `--datadir=${home.path('data')}`,
    `--socket=${home.path('socket')}`,
    '--bind-address=127.0.0.1',
    `--port=${port}`,
    '--skip-name-resolve',
    '--event-scheduler=ON',
    '--innodb-buffer-pool-size=64M',
    '--log-bin=binlog',
    '--server-id=1',
    ...options[kind],
  ];
}

// Another server may have the port, and let us in: ours is known by its socket's path.
async function whenReady(
  child: ChildProcess,
  login: ServerLogin,
  home: ServerHome,
  minimalUptime: number,
): Promise<ServerIdentity | undefined> {
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!hasEnded(child) && Date.now() < deadline) {
    const identity = await identify(login).catch(() => undefined);
    const isOurs = identity?.socket === home.path('socket');
    if (isOurs && identity.uptime >= minimalUptime) return identity;
    await sleep(100);
  }
  return undefined;
}
