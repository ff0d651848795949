import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { FirstAnswers } from '../../src/domain/first-answers.ts';
import { RedisAnswers } from '../../src/store/redis-answers.ts';
import { startRedis, type RedisServer } from '../../tools/redis-server.ts';
import { until } from '../support/until.ts';
import { answerStoreContract, reservationOf } from './answer-store-contract.ts';
import { closeAll, connected, describeRedis, ready, type Told } from './redis.ts';

interface Replica extends Told {
  readonly store: RedisAnswers;
  readonly answers: FirstAnswers;
  readonly troubles: unknown[];
}

const UNAVAILABLE = { code: 'store_unavailable' };
const LATE = 'Redis did not reply within 1000 ms.';

let server: RedisServer;

async function replica(): Promise<Replica> {
  const told = await connected(server);
  const troubles: unknown[] = [];
  const store = new RedisAnswers(told.redis);
  const answers = new FirstAnswers(store, (error) => troubles.push(error));
  return { ...told, store, answers, troubles };
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

  const AGE = `
    for _, name in ipairs(redis.call('KEYS', '*')) do
      redis.call('PEXPIRE', name, redis.call('PTTL', name) - ARGV[1])
    end`;
  answerStoreContract(() => ({
    store: one.store,
    age: async (_key, milliseconds) => {
      await ask('EVAL', AGE, '0', milliseconds.toString());
    },
  }));

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
    let fail = (): void => undefined;
    const first = one.answers.once([reservation], async () => {
      await new Promise<void>((resolve) => (fail = resolve));
      throw new Error('the node is away');
    });
    await until(
      'it is reserved',
      async () => (await two.store.read(reservation.key)) !== undefined,
    );
    const second = two.answers.once([reservation], work('two'));
    fail();
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
    expect(names).toEqual([expect.stringMatching(/^session-control:answer:[0-9a-f]{64}$/)]);
    const [name = ''] = names;
    const left = await ask('PTTL', name);
    expect(left).toBeGreaterThan(30 * 60_000 - 10_000);
    expect(left).toBeLessThanOrEqual(30 * 60_000);
    expect(JSON.stringify(await ask('HGETALL', name))).not.toMatch(/the owner|key /);
  });

  it('are unavailable within about a second when Redis hangs, and then at once; nothing is done', async () => {
    const reservation = reservationOf();
    server.pause();
    const asked = performance.now();
    await expect(one.answers.once([reservation], work('lost'))).rejects.toMatchObject(UNAVAILABLE);
    expect(performance.now() - asked).toBeLessThan(1500);
    const again = performance.now();
    await expect(one.answers.once([reservation], work('lost'))).rejects.toMatchObject(UNAVAILABLE);
    expect(performance.now() - again).toBeLessThan(200);
    expect(done).toEqual([]);
    expect(one.events).toEqual([LATE]);
  });

  it('take back a reservation that a hanging Redis made late', async () => {
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
    const reservation = reservationOf({ limitMs: 60_000 });
    server.pause();
    await expect(one.answers.once([reservation], work('lost'))).rejects.toMatchObject(UNAVAILABLE);
    await server.kill();
    await server.start();
    await ready(two.redis);
    await two.store.reserve(reservation);
    await ready(one.redis);
    // On the same connection, so behind what it had to make up for.
    expect(await one.store.read(reservation.key)).toMatchObject({ answer: undefined });
  });

  it('return what was done although Redis hangs, and put it down when it is back', async () => {
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
    const asked = performance.now();
    await expect(one.answers.once([reservationOf()], work('lost'))).rejects.toMatchObject({
      ...UNAVAILABLE,
      cause: { message: 'There is no connection to Redis.' },
    });
    expect(performance.now() - asked).toBeLessThan(200);
    expect(done).toEqual([]);
    await server.start();
    await ready(one.redis);
    expect(await one.answers.once([reservationOf()], work('one'))).toBe('one');
    expect(one.events).toEqual([expect.any(String), 'back']);
  });

  it('are unavailable when Redis takes nothing more, and nothing is done', async () => {
    await ask('CONFIG', 'SET', 'maxmemory', '1');
    try {
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
