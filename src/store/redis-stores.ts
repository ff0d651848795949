import { createHash, randomUUID } from 'node:crypto';
import { RedisStore } from 'rate-limit-redis';
import { BYTES_AN_OWNER, ownerHasTooMuch, type AnswerStore } from '../domain/answer-store.ts';
import type { Remembered, Reservation } from '../domain/answer-store.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import { completing, reading, releasing, remembered, reserving } from './redis-commands.ts';
import { RedisRetryQueue, TOO_MUCH, type RedisCommand } from './redis-commands.ts';
import type { RedisConnection, RedisReply } from './redis-connection.ts';

const COUNTER_PREFIX = 'session-control:requests:';

/**
 * The answers of several replicas, in one Redis. `reserve` throws `too_many_requests` when the owner has too much there.
 * Everything Redis cannot do is `store_unavailable`; what was to be put down or taken back is then done when Redis is back,
 * so that nobody hears that an outcome is unknown which is known here.
 */
export class RedisAnswers implements AnswerStore {
  readonly #redis: RedisConnection;
  readonly #bytesAnOwner: number;
  /** Of what was reserved here. */
  readonly #tickets = new WeakMap<Reservation, string>();
  readonly #retries = new RedisRetryQueue();

  constructor(redis: RedisConnection, bytesAnOwner = BYTES_AN_OWNER) {
    this.#redis = redis;
    this.#bytesAnOwner = bytesAnOwner;
    redis.onReady(() => {
      for (const command of this.#retries.all()) void this.#retry(command);
    });
  }

  async reserve(reservation: Reservation): Promise<Remembered | undefined> {
    const ticket = randomUUID();
    const wasReady = this.#redis.isReady;
    let reply: RedisReply;
    try {
      reply = await this.#run(reserving(reservation, ticket, this.#bytesAnOwner));
    } catch (error) {
      // It may have been made, or be made yet, and nothing will be done for it.
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

  // An answer may go past the bound, since its KILLs are done; the next reservation then does not.
  async complete(reservation: Reservation, answer: string): Promise<void> {
    const ticket = this.#tickets.get(reservation);
    if (ticket !== undefined) await this.#runOrKeep(completing(reservation, ticket, answer));
  }

  async release(reservation: Reservation): Promise<void> {
    const ticket = this.#tickets.get(reservation);
    if (ticket !== undefined) await this.#runOrKeep(releasing(reservation, ticket));
  }

  async #runOrKeep(command: RedisCommand): Promise<void> {
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
      throw new ServiceError('store_unavailable', CANNOT_TELL, { cause: error });
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

const CANNOT_TELL: Sentence = {
  'en-us':
    'The store cannot tell whether this request came before, so this time it was not carried out; what it did if it came before stands. Until the store can, only kills are carried out that are unsigned and have no Idempotency-Key.',
  'zh-cn':
    '存储无法判断该请求是否重复，因此本次未执行；若此前已执行，其结果不变。恢复之前，仅执行未签名且不带Idempotency-Key的终止请求。',
};

/** Counts requests for express-rate-limit, over all replicas. Each limiter needs its own, with a name that all replicas give it. */
export class RedisCounters extends RedisStore {
  constructor(redis: RedisConnection, name: string) {
    super({ prefix: `${COUNTER_PREFIX}${name}:`, sendCommand: sendingWholeScripts(redis) });
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
