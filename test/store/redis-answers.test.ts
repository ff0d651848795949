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
import { closeAll, connected, describeRedis, ready, type Told } from './redis.ts';

interface Replica extends Told {
  readonly store: RedisAnswers;
  readonly answers: IdempotentResponses;
  readonly troubles: unknown[];
}

const UNAVAILABLE = {
  code: 'store_unavailable',
  message: expect.stringContaining('this time it was not carried out') as unknown,
};
/** How long a replica waits for a Redis that hangs. */
const HASTY_MS = 1000;
const LATE = `Redis did not reply within ${HASTY_MS} ms.`;

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
  const told = await connected(server, timeoutMs === undefined ? {} : { timeoutMs });
  const troubles: unknown[] = [];
  const store = new RedisAnswers(told.redis, bytesPerOwner);
  const answers = new IdempotentResponses(store, (error) => troubles.push(error));
  return { ...told, store, answers, troubles };
}

/** Returns a replica that does not wait long for a Redis that hangs. */
async function hasty(bytesPerOwner?: number): Promise<Replica> {
  return await replica(bytesPerOwner, HASTY_MS);
}

/** Makes all that Redis has so much older. */
async function age(milliseconds: number): Promise<void> {
  await ask('EVAL', AGE, '0', milliseconds.toString());
}

/** What Redis says, over a connection that no test disturbs. */
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

    it('are counted once when they are put down twice', async () => {
      one = await hasty(BOUND);
      const owner = crypto.randomUUID();
      const reservation = reservationOf({ owner });
      await one.store.reserve(reservation);
      server.pause();
      // The command itself, and the one that makes up for it, arrive both.
      await expect(one.store.complete(reservation, 'x'.repeat(0.6 * BOUND))).rejects.toThrow();
      server.resume();
      await ready(one.redis);
      expect(await one.store.read(reservation.key)).toHaveProperty('answer.length', 0.6 * BOUND);
      expect(await one.store.reserve(reservationOf({ owner }))).toBeUndefined();
    });

    it('are no longer counted when Redis has forgotten the owner', async () => {
      const owner = crypto.randomUUID();
      const reservation = reservationOf({ owner });
      await one.store.reserve(reservation);
      const owners = (await ask('KEYS', 'session-control:owner:*')) as string[];
      await ask('DEL', ...owners);
      await one.store.complete(reservation, 'x'.repeat(BOUND));
      expect(await one.store.read(reservation.key)).toHaveProperty('answer.length', BOUND);
      // Else it would never end.
      expect(await ask('KEYS', 'session-control:owner:*')).toEqual([]);
      expect(await two.store.reserve(reservationOf({ owner }))).toBeUndefined();
    });
  });

  it('have two replicas that race for a key do its work exactly once', async () => {
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

  it('tell a replica that another died, once its limit is over', async () => {
    const reservation = reservationOf({ limitMs: 200 });
    await one.store.reserve(reservation);
    const asked = performance.now();
    expect(await two.answers.once([reservation], work('two'))).toBeUndefined();
    expect(performance.now() - asked).toBeGreaterThan(1190);
    expect(done).toEqual([]);
  });

  it('let a replica take over what another could not do', async () => {
    const reservation = reservationOf();
    let fail: (() => void) | undefined;
    const first = one.answers.once([reservation], async () => {
      await new Promise<void>((resolve) => (fail = resolve));
      throw new Error('the node is away');
    });
    await until('the first replica works on it', () => fail !== undefined);
    const second = two.answers.once([reservation], work('two'));
    fail?.();
    await expect(first).rejects.toThrow('the node is away');
    expect(await second).toBe('two');
  });

  it('outlive the replica that gave them', async () => {
    const reservation = reservationOf();
    await one.answers.once([reservation], work('one'));
    await one.redis.close();
    expect(await two.answers.once([reservation], work('two'))).toBe('one');
  });

  it('are kept for 30 minutes under names that show nothing', async () => {
    await ask('FLUSHALL');
    const reservation = reservationOf({ owner: 'the owner', limitMs: 1000 });
    await one.answers.once([reservation], work('one'));
    const names = (await ask('KEYS', '*')) as string[];
    expect(names.sort()).toEqual([
      expect.stringMatching(/^session-control:answer:[0-9a-f]{64}$/),
      expect.stringMatching(/^session-control:owner:[0-9a-f]{64}$/),
    ]);
    // What an owner has is counted by the minute.
    for (const [index, minutes] of [30, 31].entries()) {
      const left = await ask('PTTL', names[index] ?? '');
      expect(left).toBeGreaterThan(minutes * 60_000 - 10_000);
      expect(left).toBeLessThanOrEqual(minutes * 60_000);
      const held = await ask('HGETALL', names[index] ?? '');
      expect(JSON.stringify(held)).not.toMatch(/the owner|key /);
    }
  });

  it('are unavailable when Redis hangs until the limit, and then at once; nothing is done', async () => {
    one = await hasty();
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

  it('take back a reservation that a hanging Redis made late', async () => {
    one = await hasty();
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

  it('take back no reservation that another made since', async () => {
    one = await hasty();
    const reservation = reservationOf({ limitMs: 60_000 });
    server.pause();
    await expect(one.answers.once([reservation], work('lost'))).rejects.toMatchObject(UNAVAILABLE);
    // Redis has these before it goes on, and so before the other connects again.
    const made = [two.redis.send('FLUSHALL'), two.store.reserve(reservation)];
    server.resume();
    expect(await Promise.all(made)).toEqual(['OK', undefined]);
    await ready(one.redis);
    // On the same connection, so behind what it had to make up for.
    expect(await one.store.read(reservation.key)).toMatchObject({ answer: undefined });
  });

  const LOSSES: [string, string, () => Promise<unknown>, () => Replica][] = [
    ['another replica', 'was lost', () => ask('FLUSHALL'), () => two],
    ['another replica', 'has ended', () => age(31 * 60_000), () => two],
    ['the same replica', 'was lost', () => ask('FLUSHALL'), () => one],
    ['the same replica', 'has ended', () => age(31 * 60_000), () => one],
  ];
  it.each(LOSSES)(
    'touch no reservation that %s made after their own %s',
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

  it('touch no reservation late that another made since', async () => {
    one = await hasty();
    const reservations = [reservationOf(), reservationOf()] as const;
    for (const reservation of reservations) await one.store.reserve(reservation);
    server.pause();
    await expect(one.store.complete(reservations[0], 'one')).rejects.toMatchObject(UNAVAILABLE);
    await expect(one.store.release(reservations[1])).rejects.toMatchObject(UNAVAILABLE);
    // Redis has these before it goes on, and so before the other connects again.
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

  it('put down late no more than 16 MiB, the latest', async () => {
    one = await hasty();
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
      // Not over the connection that gives up soon: on a busy machine Redis needs longer for 15 MiB.
      const isThere = async ({ key }: Reservation): Promise<boolean> =>
        (await two.store.read(key))?.answer !== undefined;
      await until('the last is there', () => isThere(reservations.at(-1) as Reservation));
      // Each takes a little more than its answer.
      expect(await Promise.all(reservations.map(isThere))).toEqual(
        owners.map((_owner, index) => index >= 5),
      );
      await ask('FLUSHALL');
    }
  });

  it('return what was done although Redis hangs, and put it down when it is back', async () => {
    one = await hasty();
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

  it('put an answer down late even if the command itself never arrived', async () => {
    const reservation = reservationOf({ limitMs: 60_000 });
    const breaking = await replica();
    const lose = async (): Promise<string> => {
      await ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await until('it has noticed', () => !breaking.redis.isReady);
      return work('one')();
    };
    expect(await breaking.answers.once([reservation], lose)).toBe('one');
    expect(breaking.troubles).toMatchObject([UNAVAILABLE]);
    await ready(two.redis);
    expect(await two.answers.once([reservation], work('two'))).toBe('one');
  });

  it('free a key late when nothing was done for it and Redis hung', async () => {
    one = await hasty();
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

  it('are unavailable at once while Redis is dead, and come back with it', async () => {
    await server.kill();
    await until('it has noticed', () => !one.redis.isReady);
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

  it('are unavailable when Redis takes nothing more, and nothing is done', async () => {
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
