import type { ChildProcess } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { symlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { end, hasEnded } from './end-process.ts';
import { canInstall, installPackages } from './debian-packages.ts';
import { executables } from './server-binaries.ts';
import { ServerHome } from './server-home.ts';

/** A throw-away Redis without persistence. */
export interface RedisServer {
  readonly host: string;
  readonly port: number;
  readonly password: string;
  /** Stops the process until `resume`: it neither answers nor refuses. */
  pause(): void;
  resume(): void;
  /** Kills the server. Its data is lost. */
  kill(): Promise<void>;
  /** Starts an empty server at the same port. */
  start(): Promise<void>;
  /** Ends the server and removes its files. */
  stop(): Promise<void>;
}

const START_DEADLINE_MS = 20_000;
const START_ATTEMPTS = 5;

/**
 * Resolves to a sentence if `startRedis` cannot work here, else undefined. Installs Debian's redis-tools if Redis is missing and
 * this process is root. Its redis-check-rdb is the server under another name, and the package starts no service.
 */
export async function whyNoRedis(): Promise<string | undefined> {
  if (program() !== undefined) return undefined;
  if (!canInstall()) return 'Redis is not installed on this machine.';
  const trouble = await installPackages('redis-tools');
  if (trouble !== undefined) return `Redis cannot be installed: ${trouble}`;
  return program() === undefined ? "Debian's redis-tools holds no server here." : undefined;
}

/** Starts a Redis on 127.0.0.1 with more options if given. It ends with this process, or earlier. Rejects with its log if it does not start. */
export async function startRedis(further: readonly string[] = []): Promise<RedisServer> {
  const found = program();
  if (found === undefined) throw new Error('Redis is not installed on this machine.');
  const home = new ServerHome();
  // The program acts as the server only under the name redis-server.
  symlinkSync(found, home.path('redis-server'));
  const password = randomUUID();
  try {
    for (let attempt = 1; ; attempt++) {
      // Below 32768: from there on, Linux takes ports for outgoing connections.
      const port = randomInt(10_000, 32_000);
      const launch = (): Promise<ChildProcess> => launched(home, port, password, further);
      const child = await launch().catch((error: unknown) => {
        if (attempt === START_ATTEMPTS || !/address already in use/i.test(home.log())) throw error;
      });
      if (child !== undefined) return serverOf(home, child, launch, port, password);
    }
  } catch (error) {
    await home.remove();
    throw error;
  }
}

function program(): string | undefined {
  return [...executables('redis-server'), ...executables('redis-check-rdb')][0];
}

async function launched(
  home: ServerHome,
  port: number,
  password: string,
  further: readonly string[],
): Promise<ChildProcess> {
  const child = home.launch(home.path('redis-server'), [
    ...['--bind', '127.0.0.1', '--port', port.toString(), '--requirepass', password],
    ...['--save', '', '--appendonly', 'no', '--dir', home.path('.'), ...further],
  ]);
  child.unref();
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!hasEnded(child) && Date.now() < deadline) {
    // The log proves that this server is ready. The port alone could belong to another process.
    if (home.log().includes('Ready to accept connections')) return child;
    await sleep(10);
  }
  await end(child);
  throw new Error(`Redis did not start:\n${home.log()}`);
}

function serverOf(
  home: ServerHome,
  first: ChildProcess,
  launch: () => Promise<ChildProcess>,
  port: number,
  password: string,
): RedisServer {
  let child = first;
  return {
    host: '127.0.0.1',
    port,
    password,
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    kill: () => end(child),
    start: async () => {
      child = await launch();
    },
    stop: async () => {
      await end(child);
      await home.remove();
    },
  };
}
