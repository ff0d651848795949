import { createHash, randomUUID } from 'node:crypto';
import { RedisStore } from 'rate-limit-redis';
import { BYTES_PER_OWNER, ownerHasTooMuch, type AnswerStore } from '../domain/answer-store.ts';
import type { Remembered, Reservation } from '../domain/answer-store.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import { completing, reading, releasing, remembered, reserving } from './redis-commands.ts';
import { RedisRetryQueue, TOO_MUCH, type RedisCommand } from './redis-commands.ts';
import type { RedisConnection, RedisReply } from './redis-connection.ts';

const COUNTER_PREFIX = 'session-control:requests:';

/**
 * The answers of several replicas, in one Redis. `reserve` throws `too_many_requests` at the limit of the owner. Every failure of Redis is
 * `store_unavailable`. A failed `complete` or `release` is repeated once Redis is back, so that no known outcome is reported as unknown.
 */
export class RedisAnswers implements AnswerStore {
  readonly #redis: RedisConnection;
  readonly #bytesPerOwner: number;
  /** The tickets of the reservations of this process. */
  readonly #tickets = new WeakMap<Reservation, string>();
  readonly #retries = new RedisRetryQueue();

  constructor(redis: RedisConnection, bytesPerOwner = BYTES_PER_OWNER) {
    this.#redis = redis;
    this.#bytesPerOwner = bytesPerOwner;
    redis.onReady(() => {
      for (const command of this.#retries.all()) void this.#retry(command);
    });
  }

  async reserve(reservation: Reservation): Promise<Remembered | undefined> {
    const ticket = randomUUID();
    const wasReady = this.#redis.isReady;
    let reply: RedisReply;
    try {
      reply = await this.#run(reserving(reservation, ticket, this.#bytesPerOwner));
    } catch (error) {
      // Redis may still make the reservation, but no work follows.
      if (wasReady) this.#retries.add(releasing(reservation, ticket));
      throw error;
    }
    if (reply === TOO_MUCH) throw ownerHasTooMuch();
    const there = remembered(reply);
    if (there === undefined) this.#tickets.set(reservation, ticket);
    return there;
  }

  async read(key: string): Promise<Remembered | undefined> {
    return remembered(await this.#run(reading(key)));
  }

  // An answer may exceed the limit, since its KILLs are done. The next reservation then fails.
  async complete(reservation: Reservation, answer: string): Promise<void> {
    const ticket = this.#tickets.get(reservation);
    if (ticket !== undefined) await this.#runOrQueue(completing(reservation, ticket, answer));
  }

  async release(reservation: Reservation): Promise<void> {
    const ticket = this.#tickets.get(reservation);
    if (ticket !== undefined) await this.#runOrQueue(releasing(reservation, ticket));
  }

  async #runOrQueue(command: RedisCommand): Promise<void> {
    try {
      await this.#run(command);
    } catch (error) {
      this.#retries.add(command);
      throw error;
    }
  }

  async #run({ script, names, values }: RedisCommand): Promise<RedisReply> {
    try {
      return await this.#redis.send('EVAL', script, names.length.toString(), ...names, ...values);
    } catch (error) {
      throw new ServiceError('store_unavailable', UNKNOWN_BEFORE, { cause: error });
    }
  }

  async #retry(command: RedisCommand): Promise<void> {
    try {
      await this.#run(command);
      this.#retries.delete(command);
    } catch {
      // The command stays queued for the next connection.
    }
  }
}

const UNKNOWN_BEFORE: Sentence = {
  'en-us':
    'The store is unavailable, so it is unknown whether this request was carried out before; this time it was not carried out. An earlier result stands. Retry later. Until then, only unsigned kills without an Idempotency-Key are carried out.',
  'zh-cn':
    '存储不可用，无法判断该请求此前是否已执行。本次未执行；若此前已执行，其结果不变。请稍后重试。恢复之前，仅执行未签名且不带Idempotency-Key的终止请求。',
};

/** Counts requests of all replicas for express-rate-limit. Each limiter needs its own counters, with one name on all replicas. */
export class RedisCounters extends RedisStore {
  constructor(redis: RedisConnection, name: string) {
    super({ prefix: `${COUNTER_PREFIX}${name}:`, sendCommand: sendWholeScripts(redis) });
  }

  // The hash hides the caller that the key names.
  override prefixKey(key: string): string {
    return super.prefixKey(createHash('sha256').update(key).digest('hex'));
  }
}

/**
 * Returns a function that sends the whole script with each call. RedisStore loads its scripts only at construction, and never recovers if
 * Redis is down then.
 */
function sendWholeScripts(redis: RedisConnection) {
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
