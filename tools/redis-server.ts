import type { ChildProcess } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { symlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { end, hasEnded } from './end-process.ts';
import { canInstall, installPackages } from './debian-packages.ts';
import { executables } from './server-binaries.ts';
import { ServerHome } from './server-home.ts';

/** A throw-away Redis, which keeps nothing on disk. */
export interface RedisServer {
  readonly host: string;
  readonly port: number;
  readonly password: string;
  /** Has it do nothing, not even refuse, until `resume`. */
  pause(): void;
  resume(): void;
  /** Kills it; what it had is gone. */
  kill(): Promise<void>;
  /** Starts it again, empty, at the same port. */
  start(): Promise<void>;
  /** Ends it and removes its files. */
  stop(): Promise<void>;
}

const START_DEADLINE_MS = 20_000;
const START_ATTEMPTS = 5;

/**
 * Says in a sentence why `startRedis` cannot work here, if so. Where there is no Redis, root gets Debian's redis-tools
 * installed: its redis-check-rdb is the server by another name, and unlike redis-server it starts no service.
 */
export async function whyNoRedis(): Promise<string | undefined> {
  if (program() !== undefined) return undefined;
  if (!canInstall()) return 'Redis is not installed on this machine.';
  const trouble = await installPackages('redis-tools');
  if (trouble !== undefined) return `Redis cannot be installed: ${trouble}`;
  return program() === undefined ? "Debian's redis-tools holds no server here." : undefined;
}

/** Starts a Redis on 127.0.0.1, which ends with this process at the latest. `further` options are added to its command line. */
export async function startRedis(further: readonly string[] = []): Promise<RedisServer> {
  const found = program();
  if (found === undefined) throw new Error('Redis is not installed on this machine.');
  const home = new ServerHome();
  // It looks at its name to know what it is to be.
  symlinkSync(found, home.path('redis-server'));
  const password = randomUUID();
  try {
    for (let attempt = 1; ; attempt++) {
      // Below 32768, where the system begins to take ports for outgoing connections.
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
    // Its log is its own, while its port could be another's.
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
