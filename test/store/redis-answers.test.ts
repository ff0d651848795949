import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Reservation } from '../../src/domain/answer-store.ts';
import { IdempotentResponses } from '../../src/domain/idempotent-responses.ts';
import { RedisAnswers } from '../../src/store/redis-stores.ts';
import { startRedis, type RedisServer } from '../../tools/redis-server.ts';
import { until } from '../support/until.ts';
import {
  answerStoreContract,
  BOUND,
  ownerBoundContract,
  reservationOf,
  twoOfOneKey,
} from './answer-store-contract.ts';
import { closeAll, connected, describeRedis, ready, type ObservedConnection } from './redis.ts';

interface Replica extends ObservedConnection {
  readonly store: RedisAnswers;
  readonly answers: IdempotentResponses;
  readonly troubles: unknown[];
}

const UNAVAILABLE = {
  code: 'store_unavailable',
  message: expect.stringContaining('this time it was not carried out') as unknown,
};
/** The timeout of an impatient replica for a hanging Redis, in milliseconds. */
const IMPATIENT_MS = 1000;
const LATE = `Redis did not reply within ${IMPATIENT_MS} ms.`;

const AGE = `
  for _, name in ipairs(redis.call('KEYS', '*')) do
    redis.call('PEXPIRE', name, redis.call('PTTL', name) - ARGV[1])
    if string.find(name, 'session-control:owner:', 1, true) then
      local counted = redis.call('HGETALL', name)
      for at = 1, #counted, 2 do
        redis.call('HDEL', name, counted[at])
        redis.call('HSET', name, string.format('%.0f', counted[at] - ARGV[1]), counted[at + 1])
      end
    end
  end`;

let server: RedisServer;

async function replica(bytesPerOwner?: number, timeoutMs?: number): Promise<Replica> {
  const observed = await connected(server, timeoutMs === undefined ? {} : { timeoutMs });
  const troubles: unknown[] = [];
  const store = new RedisAnswers(observed.redis, bytesPerOwner);
  const answers = new IdempotentResponses(store, (error) => troubles.push(error));
  return { ...observed, store, answers, troubles };
}

/** Returns a replica with a short timeout for Redis. */
async function impatientReplica(bytesPerOwner?: number): Promise<Replica> {
  return await replica(bytesPerOwner, IMPATIENT_MS);
}

/** Makes all entries in Redis older, in milliseconds. */
async function age(milliseconds: number): Promise<void> {
  await ask('EVAL', AGE, '0', milliseconds.toString());
}

/** Sends a command over a connection that no test disturbs, and returns the reply. */
async function ask(...command: string[]): Promise<unknown> {
  const { redis } = await connected(server);
  return redis.send(...command).finally(() => redis.close());
}

describeRedis('answers in Redis', () => {
  let one: Replica;
  let two: Replica;
  let done: string[];
  const work = (answer: string) => (): Promise<string> => {
    done.push(answer);
    return Promise.resolve(answer);
  };

  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    done = [];
    [one, two] = [await replica(), await replica()];
  });
  afterEach(async () => {
    server.resume();
    await closeAll();
  });

  answerStoreContract(() => ({ store: one.store, age: (_key, milliseconds) => age(milliseconds) }));

  describe('for an owner', () => {
    beforeEach(async () => {
      [one, two] = [await replica(BOUND), await replica(BOUND)];
    });

    ownerBoundContract(() => ({
      store: one.store,
      age: (_key, milliseconds) => age(milliseconds),
    }));

    it('are counted over all replicas', async () => {
      const owner = crypto.randomUUID();
      const reservation = reservationOf({ owner });
      await one.store.reserve(reservation);
      await one.store.complete(reservation, 'x'.repeat(BOUND));
      await expect(two.store.reserve(reservationOf({ owner }))).rejects.toMatchObject({
        code: 'too_many_requests',
      });
    });

    it('are counted once if they are completed twice', async () => {
      one = await impatientReplica(BOUND);
      const owner = crypto.randomUUID();
      const reservation = reservationOf({ owner });
      await one.store.reserve(reservation);
      server.pause();
      // Redis receives the command and its retry.
      await expect(one.store.complete(reservation, 'x'.repeat(0.6 * BOUND))).rejects.toThrow();
      server.resume();
      await ready(one.redis);
      expect(await one.store.read(reservation.key)).toHaveProperty('answer.length', 0.6 * BOUND);
      expect(await one.store.reserve(reservationOf({ owner }))).toBeUndefined();
    });

    it('are no longer counted after Redis lost the owner', async () => {
      const owner = crypto.randomUUID();
      const reservation = reservationOf({ owner });
      await one.store.reserve(reservation);
      const owners = (await ask('KEYS', 'session-control:owner:*')) as string[];
      await ask('DEL', ...owners);
      await one.store.complete(reservation, 'x'.repeat(BOUND));
      expect(await one.store.read(reservation.key)).toHaveProperty('answer.length', BOUND);
      // A key that Redis created now would have no expiry.
      expect(await ask('KEYS', 'session-control:owner:*')).toEqual([]);
      expect(await two.store.reserve(reservationOf({ owner }))).toBeUndefined();
    });
  });

  it('let exactly one of two racing replicas do the work of a key', async () => {
    const race = async (name: string): Promise<void> => {
      const keys = [reservationOf(), reservationOf()];
      const answers = await Promise.all(
        [one, two, one, two].map((each, index) =>
          each.answers.once(keys, work(`${name} by ${index}`)),
        ),
      );
      expect(new Set(answers)).toEqual(new Set(done.filter((it) => it.startsWith(`${name} by`))));
      expect(new Set(answers).size).toBe(1);
    };
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 20 }, (_none, of) => race(`${round}.${of}`)));
    }
    expect(done).toHaveLength(200);
  });

  it('stay unknown if the other replica died, once its time limit has passed', async () => {
    const reservation = reservationOf({ limitMs: 200 });
    await one.store.reserve(reservation);
    const asked = performance.now();
    expect(await two.answers.once([reservation], work('two'))).toBeUndefined();
    expect(performance.now() - asked).toBeGreaterThan(1190);
    expect(done).toEqual([]);
  });

  it('let a replica do the work at which another one failed', async () => {
    const reservation = reservationOf();
    let fail: (() => void) | undefined;
    const first = one.answers.once([reservation], async () => {
      await new Promise<void>((resolve) => (fail = resolve));
      throw new Error('the node is away');
    });
    await until('the first replica does the work', () => fail !== undefined);
    const second = two.answers.once([reservation], work('two'));
    fail?.();
    await expect(first).rejects.toThrow('the node is away');
    expect(await second).toBe('two');
  });

  it('survive the replica that made them', async () => {
    const reservation = reservationOf();
    await one.answers.once([reservation], work('one'));
    await one.redis.close();
    expect(await two.answers.once([reservation], work('two'))).toBe('one');
  });

  it('are kept for 30 minutes under names that reveal neither owner nor key', async () => {
    await ask('FLUSHALL');
    const reservation = reservationOf({ owner: 'the owner', limitMs: 1000 });
    await one.answers.once([reservation], work('one'));
    const names = (await ask('KEYS', '*')) as string[];
    expect(names.sort()).toEqual([
      expect.stringMatching(/^session-control:answer:[0-9a-f]{64}$/),
      expect.stringMatching(/^session-control:owner:[0-9a-f]{64}$/),
    ]);
    // The count of an owner has a resolution of one minute.
    for (const [index, minutes] of [30, 31].entries()) {
      const left = await ask('PTTL', names[index] ?? '');
      expect(left).toBeGreaterThan(minutes * 60_000 - 10_000);
      expect(left).toBeLessThanOrEqual(minutes * 60_000);
      const held = await ask('HGETALL', names[index] ?? '');
      expect(JSON.stringify(held)).not.toMatch(/the owner|key /);
    }
  });

  it('are unavailable after the timeout if Redis hangs, then immediately, and no work is done', async () => {
    one = await impatientReplica();
    const reservation = reservationOf();
    server.pause();
    await expect(one.answers.once([reservation], work('lost'))).rejects.toMatchObject(UNAVAILABLE);
    await expect(one.answers.once([reservation], work('lost'))).rejects.toMatchObject({
      ...UNAVAILABLE,
      cause: { message: 'There is no connection to Redis.' },
    });
    expect(done).toEqual([]);
    expect(one.events).toEqual([LATE]);
  });

  it('have a reservation released that a hanging Redis made late', async () => {
    one = await impatientReplica();
    const reservation = reservationOf({ limitMs: 60_000 });
    server.pause();
    await expect(one.answers.once([reservation], work('lost'))).rejects.toMatchObject(UNAVAILABLE);
    server.resume();
    expect(await two.answers.once([reservation], work('two'))).toBe('two');
    await ready(one.redis);
    expect(one.events).toEqual([LATE, 'back']);
    expect(await one.answers.once([reservation], work('one'))).toBe('two');
    expect(done).toEqual(['two']);
  });

  it('keep a reservation that another replica made after a hanging one', async () => {
    one = await impatientReplica();
    const reservation = reservationOf({ limitMs: 60_000 });
    server.pause();
    await expect(one.answers.once([reservation], work('lost'))).rejects.toMatchObject(UNAVAILABLE);
    // Redis receives these commands before it resumes, so before the other replica reconnects.
    const made = [two.redis.send('FLUSHALL'), two.store.reserve(reservation)];
    server.resume();
    expect(await Promise.all(made)).toEqual(['OK', undefined]);
    await ready(one.redis);
    // The read follows the retries on the same connection.
    expect(await one.store.read(reservation.key)).toMatchObject({ answer: undefined });
  });

  const LOSSES: [string, string, () => Promise<unknown>, () => Replica][] = [
    ['another replica', 'was lost', () => ask('FLUSHALL'), () => two],
    ['another replica', 'has ended', () => age(31 * 60_000), () => two],
    ['the same replica', 'was lost', () => ask('FLUSHALL'), () => one],
    ['the same replica', 'has ended', () => age(31 * 60_000), () => one],
  ];
  it.each(LOSSES)(
    'change no reservation that %s made after their own %s',
    async (_who, _what, lose, other) => {
      const [completed, completedSince] = twoOfOneKey();
      const [released, releasedSince] = twoOfOneKey();
      for (const own of [completed, released]) await one.store.reserve(own);
      await lose();
      for (const since of [completedSince, releasedSince]) {
        expect(await other().store.reserve(since)).toBeUndefined();
      }
      await one.store.complete(completed, 'one');
      await one.store.release(released);
      for (const { key } of [completed, released]) {
        expect(await one.store.read(key)).toMatchObject({ answer: undefined });
      }
      await other().store.complete(completedSince, 'since');
      await other().store.release(releasedSince);
      expect(await one.store.read(completed.key)).toMatchObject({ answer: 'since' });
      expect(await one.store.read(released.key)).toBeUndefined();
    },
  );

  it('change no newer reservation of another replica by a late command', async () => {
    one = await impatientReplica();
    const reservations = [reservationOf(), reservationOf()] as const;
    for (const reservation of reservations) await one.store.reserve(reservation);
    server.pause();
    await expect(one.store.complete(reservations[0], 'one')).rejects.toMatchObject(UNAVAILABLE);
    await expect(one.store.release(reservations[1])).rejects.toMatchObject(UNAVAILABLE);
    // Redis receives these commands before it resumes, so before the other replica reconnects.
    const made = [
      two.redis.send('FLUSHALL'),
      ...reservations.map((reservation) => two.store.reserve(reservation)),
    ];
    server.resume();
    expect(await Promise.all(made)).toEqual(['OK', undefined, undefined]);
    await ready(one.redis);
    for (const { key } of reservations) {
      expect(await one.store.read(key)).toMatchObject({ answer: undefined });
    }
  });

  it('are stored late up to 16 MiB, without the oldest', async () => {
    one = await impatientReplica();
    const owners = Array.from({ length: 20 }, () => crypto.randomUUID());
    for (let round = 0; round < 2; round++) {
      const reservations = owners.map((owner) => reservationOf({ owner }));
      for (const reservation of reservations) await one.store.reserve(reservation);
      server.pause();
      await expect(one.store.read('')).rejects.toMatchObject(UNAVAILABLE);
      for (const reservation of reservations) {
        await expect(one.store.complete(reservation, 'x'.repeat(2 ** 20))).rejects.toMatchObject(
          UNAVAILABLE,
        );
      }
      server.resume();
      await ready(one.redis);
      // The impatient connection would time out: a busy Redis needs longer for 15 MiB.
      const isStored = async ({ key }: Reservation): Promise<boolean> =>
        (await two.store.read(key))?.answer !== undefined;
      await until('the last answer is stored', () => isStored(reservations.at(-1) as Reservation));
      // Each command takes slightly more than its answer.
      expect(await Promise.all(reservations.map(isStored))).toEqual(
        owners.map((_owner, index) => index >= 5),
      );
      await ask('FLUSHALL');
    }
  });

  it('are returned although Redis hangs, and stored when Redis is back', async () => {
    one = await impatientReplica();
    const reservation = reservationOf();
    const hang = (): Promise<string> => {
      server.pause();
      return work('one')();
    };
    expect(await one.answers.once([reservation], hang)).toBe('one');
    expect(one.troubles).toMatchObject([UNAVAILABLE]);
    server.resume();
    expect(await two.answers.once([reservation], work('two'))).toBe('one');
  });

  it('are stored late even if the first command never arrived', async () => {
    const reservation = reservationOf({ limitMs: 60_000 });
    const breaking = await replica();
    const lose = async (): Promise<string> => {
      await ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await until('the loss is noticed', () => !breaking.redis.isReady);
      return work('one')();
    };
    expect(await breaking.answers.once([reservation], lose)).toBe('one');
    expect(breaking.troubles).toMatchObject([UNAVAILABLE]);
    await ready(two.redis);
    expect(await two.answers.once([reservation], work('two'))).toBe('one');
  });

  it('have a key freed late if its work failed while Redis hung', async () => {
    one = await impatientReplica();
    const reservation = reservationOf({ limitMs: 60_000 });
    const fail = (): Promise<string> => {
      server.pause();
      return Promise.reject(new Error('the node is away'));
    };
    await expect(one.answers.once([reservation], fail)).rejects.toThrow('the node is away');
    expect(one.troubles).toMatchObject([UNAVAILABLE]);
    server.resume();
    expect(await two.answers.once([reservation], work('two'))).toBe('two');
  });

  it('are unavailable immediately while Redis is down, and available after its restart', async () => {
    await server.kill();
    await until('the loss is noticed', () => !one.redis.isReady);
    await expect(one.answers.once([reservationOf()], work('lost'))).rejects.toMatchObject({
      ...UNAVAILABLE,
      cause: { message: 'There is no connection to Redis.' },
    });
    expect(done).toEqual([]);
    await server.start();
    await ready(one.redis);
    expect(await one.answers.once([reservationOf()], work('one'))).toBe('one');
    expect(one.events).toEqual([expect.any(String), 'back']);
  });

  it('are unavailable if Redis is out of memory, and no work is done', async () => {
    const reserved = reservationOf();
    await one.store.reserve(reserved);
    await ask('CONFIG', 'SET', 'maxmemory', '1');
    try {
      await one.store.release(reserved);
      expect(await one.store.read(reserved.key)).toBeUndefined();
      await expect(one.answers.once([reservationOf()], work('one'))).rejects.toMatchObject({
        ...UNAVAILABLE,
        cause: { message: expect.stringContaining('OOM') as unknown },
      });
      expect(done).toEqual([]);
    } finally {
      await ask('CONFIG', 'SET', 'maxmemory', '0');
    }
  });
});
