import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { makeDataDirectory } from './data-directory.ts';
import { end, hasEnded } from './end-process.ts';
import type { DatabaseNode } from './database-node.ts';
import { complaint, obtainBinaries, type ServerKind } from './server-binaries.ts';
import { ServerHome } from './server-home.ts';
import { identify, type ServerIdentity, type ServerLogin } from './server-login.ts';

/** A database server that this process started. */
export interface OwnServer extends DatabaseNode {
  /** Kills the server and starts another one on the same data. Resolves when the new server accepts logins. */
  restart(): Promise<void>;
  /** Returns the log of the server since its last start. */
  log(): string;
}

/** How a server is started. */
export interface ServerOptions {
  /** More options of the server, such as `--server-id=2`. They override ours. */
  readonly arguments?: readonly string[];
  /** More variables of the environment. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly say?: (line: string) => void;
}

/** The service sends no KILL to a server that may have started after the request: a younger server could be one. */
const SETTLED_SECONDS = 3;
const START_DEADLINE_MS = 100_000;
const START_ATTEMPTS = 5;

/**
 * Starts a throw-away server from this machine's MariaDB (10.5 or newer) or MySQL (8.0.14 or newer).
 * If MySQL is missing, it is fetched from Debian. The server has an event scheduler, a binary log, a
 * spare port, and a `root` without password on 127.0.0.1. It ends with this process, or earlier.
 * Rejects with a sentence and the last log lines if the server does not start.
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

/** Resolves to a sentence if `startServer` cannot work here, else undefined. Fetches MySQL if it is missing. Never rejects. */
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
    // Below 32768: from there on, Linux takes ports for outgoing connections.
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

// Another server may use the port and accept our login: the path of the socket proves that the server is ours.
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
