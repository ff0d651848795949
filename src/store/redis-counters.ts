import { createHash } from 'node:crypto';
import { RedisStore } from 'rate-limit-redis';
import type { RedisConnection, RedisReply } from './redis-connection.ts';

const PREFIX = 'session-control:requests:';

/** Counts requests for express-rate-limit, over all replicas. Each limiter needs its own, with a name that all replicas give it. */
export class RedisCounters extends RedisStore {
  constructor(redis: RedisConnection, name: string) {
    super({ prefix: `${PREFIX}${name}:`, sendCommand: sendingWholeScripts(redis) });
  }

  // Its keys name callers.
  override prefixKey(key: string): string {
    return super.prefixKey(createHash('sha256').update(key).digest('hex'));
  }
}

/**
 * RedisStore loads its scripts once, at construction, and keeps that failure for good if Redis is down then.
 * So the scripts stay here, and each call sends the whole text.
 */
function sendingWholeScripts(redis: RedisConnection) {
  const scripts = new Map<string, string>();
  return async (...command: string[]): Promise<string | number | (string | number)[]> => {
    const [name, argument = '', ...rest] = command;
    if (name === 'SCRIPT') {
      const [script = ''] = rest;
      const hash = createHash('sha1').update(script).digest('hex');
      scripts.set(hash, script);
      return hash;
    }
    const script = name === 'EVALSHA' ? scripts.get(argument) : undefined;
    const reply = await (script === undefined
      ? redis.send(...command)
      : redis.send('EVAL', script, ...rest));
    return reply as Exclude<RedisReply, null | readonly RedisReply[]> | (string | number)[];
  };
}
