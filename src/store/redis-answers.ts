import { createHash, randomUUID } from 'node:crypto';
import { REMEMBERED_MS, type AnswerStore } from '../domain/answer-store.ts';
import type { Remembered, Reservation } from '../domain/answer-store.ts';
import { ServiceError } from '../errors.ts';
import type { RedisConnection, RedisReply } from './redis-connection.ts';

const PREFIX = 'session-control:answer:';
/** Past that the oldest are left to the limits of their reservations. */
const MAX_LATE = 1000;
const LATEST_MS = REMEMBERED_MS / 3;

// Each is one step for Redis. The age comes from what is left of the time to live: no clocks of hosts are compared.
const READ = `
  local found = redis.call('HMGET', KEYS[1], 'fingerprint', 'limit', 'answer')
  found[4] = redis.call('PTTL', KEYS[1])
  return found`;
const RESERVE = `
  if redis.call('EXISTS', KEYS[1]) == 1 then ${READ} end
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'limit', ARGV[2], 'ticket', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return false`;
const COMPLETE = `
  if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'answer', ARGV[1]) end
  return false`;
const RELEASE = `
  local found = redis.call('HMGET', KEYS[1], 'answer', 'ticket')
  if found[1] or (ARGV[1] ~= '' and found[2] ~= ARGV[1]) then return false end
  redis.call('DEL', KEYS[1])
  return false`;

/** A command that Redis is to get once it is back. */
interface Late {
  readonly script: string;
  readonly key: string;
  readonly values: readonly string[];
  readonly madeAt: number;
}

/**
 * The answers of several replicas, in one Redis. Everything it cannot do is `store_unavailable`; what was to be put down or
 * taken back is then done when Redis is back, so that nobody hears that an outcome is unknown which is known here.
 */
export class RedisAnswers implements AnswerStore {
  readonly #redis: RedisConnection;
  readonly #late = new Set<Late>();

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    redis.onReady(() => {
      for (const late of this.#late) void this.#catchUp(late);
    });
  }

  async reserve({ key, fingerprint, limitMs }: Reservation): Promise<Remembered | undefined> {
    const ticket = randomUUID();
    const values = [fingerprint, limitMs.toString(), ticket, REMEMBERED_MS.toString()];
    const wasReady = this.#redis.isReady;
    try {
      return remembered(await this.#run(RESERVE, key, values));
    } catch (error) {
      // It may have been made, or be made yet, and nothing will be done for it.
      if (wasReady) this.#keep(RELEASE, key, [ticket]);
      throw error;
    }
  }

  async read(key: string): Promise<Remembered | undefined> {
    return remembered(await this.#run(READ, key, []));
  }

  async complete(key: string, answer: string): Promise<void> {
    await this.#runOrKeep(COMPLETE, key, [answer]);
  }

  async release(key: string): Promise<void> {
    await this.#runOrKeep(RELEASE, key, ['']);
  }

  async #runOrKeep(script: string, key: string, values: readonly string[]): Promise<void> {
    try {
      await this.#run(script, key, values);
    } catch (error) {
      this.#keep(script, key, values);
      throw error;
    }
  }

  async #run(script: string, key: string, values: readonly string[]): Promise<RedisReply> {
    try {
      return await this.#redis.send('EVAL', script, '1', nameOf(key), ...values);
    } catch (error) {
      throw new ServiceError('store_unavailable', undefined, { cause: error });
    }
  }

  #keep(script: string, key: string, values: readonly string[]): void {
    const [oldest] = this.#late;
    if (this.#late.size >= MAX_LATE && oldest !== undefined) this.#late.delete(oldest);
    this.#late.add({ script, key, values, madeAt: performance.now() });
  }

  async #catchUp(late: Late): Promise<void> {
    const { script, key, values, madeAt } = late;
    try {
      // Much later, the key could be somebody else's.
      if (performance.now() - madeAt < LATEST_MS) await this.#run(script, key, values);
      this.#late.delete(late);
    } catch {
      // It stays, for the next connection.
    }
  }
}

// A key names a caller, and may be a signature, which others who can look into Redis should not see.
function nameOf(key: string): string {
  return PREFIX + createHash('sha256').update(key).digest('hex');
}

function remembered(reply: RedisReply): Remembered | undefined {
  if (!Array.isArray(reply)) return undefined;
  const [fingerprint, limit, answer, leftMs] = reply as readonly RedisReply[];
  if (typeof fingerprint !== 'string') return undefined;
  return {
    fingerprint,
    answer: typeof answer === 'string' ? answer : undefined,
    ageMs: REMEMBERED_MS - Number(leftMs),
    limitMs: Number(limit),
  };
}
