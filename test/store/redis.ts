import { describe } from '@jest/globals';
import { RedisConnection, type RedisSettings } from '../../src/store/redis-connection.ts';
import { whyNoRedis, type RedisServer } from '../../tools/redis-server.ts';
import { until } from '../support/until.ts';

const why = await whyNoRedis();
if (why !== undefined) process.stderr.write(`Without the tests on Redis: ${why}\n`);

/** Is `describe` if a Redis is installed, else `describe.skip`. */
export const describeRedis = why === undefined ? describe : describe.skip;

/** A connection with its loss and return events. */
export interface ObservedConnection {
  readonly redis: RedisConnection;
  /** The message of each loss, and 'back' for each return. */
  readonly events: readonly string[];
}

/** A busy machine never stalls for a minute. A test about the timeout sets a shorter one. */
const TIMEOUT_MS = 60_000;

const open = new Set<RedisConnection>();

/** Starts to connect to a server. `closeAll` closes the connection. */
export function connectTo(
  server: RedisServer,
  further: Partial<RedisSettings> = {},
): ObservedConnection {
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

/** Resolves to a connection that is ready. */
export async function connected(
  server: RedisServer,
  further: Partial<RedisSettings> = {},
): Promise<ObservedConnection> {
  const observed = connectTo(server, further);
  await ready(observed.redis);
  return observed;
}

export async function ready(redis: RedisConnection): Promise<void> {
  await until('Redis is connected', () => redis.isReady);
}

/** Returns true if the promise settles before the next turn of the event loop. */
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
