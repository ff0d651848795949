import { describe } from '@jest/globals';
import { RedisConnection, type RedisSettings } from '../../src/store/redis-connection.ts';
import { whyNoRedis, type RedisServer } from '../../tools/redis-server.ts';
import { until } from '../support/until.ts';

const why = await whyNoRedis();
if (why !== undefined) process.stderr.write(`Without the tests on Redis: ${why}\n`);

/** `describe` where there is a Redis, else nothing. */
export const describeRedis = why === undefined ? describe : describe.skip;

/** A connection, and what was told of it. */
export interface Told {
  readonly redis: RedisConnection;
  /** Each loss by its message, each return as 'back'. */
  readonly events: readonly string[];
}

/** Longer than a busy machine stalls: a test about the limit sets a shorter one. */
const TIMEOUT_MS = 60_000;

const open = new Set<RedisConnection>();

/** Begins to connect to a server, as `closeAll` ends it. */
export function connectTo(server: RedisServer, further: Partial<RedisSettings> = {}): Told {
  const { host, port, password } = server;
  const events: string[] = [];
  const redis = new RedisConnection(
    { host, port, password, timeoutMs: TIMEOUT_MS, ...further },
    {
      lost: (error) => events.push(error instanceof Error ? error.message : String(error)),
      back: () => events.push('back'),
    },
  );
  open.add(redis);
  return { redis, events };
}

/** A connection that can be used. */
export async function connected(
  server: RedisServer,
  further: Partial<RedisSettings> = {},
): Promise<Told> {
  const told = connectTo(server, further);
  await ready(told.redis);
  return told;
}

export async function ready(redis: RedisConnection): Promise<void> {
  await until('Redis is connected', () => redis.isReady);
}

/** Returns true if this settles without waiting for anything outside the process. */
export async function settlesAtOnce(work: Promise<unknown>): Promise<boolean> {
  const settled = work.then(
    () => true,
    () => true,
  );
  const turn = new Promise<false>((resolve) =>
    setImmediate(() => {
      resolve(false);
    }),
  );
  return Promise.race([settled, turn]);
}

export async function closeAll(): Promise<void> {
  await Promise.all([...open].map((redis) => redis.close()));
  open.clear();
}
