import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { ReadBudget, type Period } from '../../src/domain/kill-history.ts';
import { RedisAuditStream } from '../../src/store/redis-audit-stream.ts';
import type { RedisConnection } from '../../src/store/redis-connection.ts';
import { startRedis, type RedisServer } from '../../tools/redis-server.ts';
import { until } from '../support/until.ts';
import { closeAll, connected, connectTo, describeRedis, ready } from './redis.ts';

const STREAM = 'session-control:audit';

describeRedis('the shared records of kills', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterEach(async () => {
    await closeAll();
    await server.kill();
    await server.start();
  });
  afterAll(async () => {
    await server.stop();
  });

  const lengthOf = async (redis: RedisConnection, key = STREAM): Promise<number> =>
    Number(await redis.send('XLEN', key));

  async function linesIn(
    stream: RedisAuditStream,
    period: Period = { from: 0, until: Infinity },
    budget = new ReadBudget(1, 3_600_000),
  ) {
    const lines: string[] = [];
    const reader = { add: (line: string) => lines.push(line) && 1, isUnresolved: () => true };
    return { lines, read: await stream.read(period, reader, budget) };
  }

  it('are read by every replica, the newest first', async () => {
    const [one, other] = [await connected(server), await connected(server)];
    const stream = new RedisAuditStream(one.redis);
    for (let line = 0; line < 250; line += 1) stream.share(`line ${line}`, Date.now());
    await until('all are shared', async () => (await lengthOf(one.redis)) === 250);
    const { lines, read } = await linesIn(new RedisAuditStream(other.redis));
    expect(lines).toEqual(Array.from({ length: 250 }, (_, index) => `line ${249 - index}`));
    expect(read?.readFrom).toBe(-Infinity);
    expect(read?.since).toBeLessThanOrEqual(Date.now());
  });

  it('take at most 64 MiB of Redis: the oldest are dropped first', async () => {
    const { redis } = await connected(server);
    const stream = new RedisAuditStream(redis);
    const text = 'x'.repeat(100_000);
    // Late lines, whose times are not that of Redis, have a part of their own.
    for (let line = 0; line < 900; line += 1) {
      stream.share(`${line} ${text}`, line % 5 === 0 ? 0 : Date.now());
      if (line % 50 === 49) await until('it is shared', async () => isSent(redis, line));
    }
    const used = await Promise.all(
      [STREAM, 'session-control:late-audit'].map((key) =>
        redis.send('MEMORY', 'USAGE', key, 'SAMPLES', '0'),
      ),
    );
    expect(used.reduce<number>((sum, bytes) => sum + Number(bytes), 0)).toBeLessThan(
      64 * 1024 * 1024,
    );
    expect(await lengthOf(redis)).toBeGreaterThan(400);
    const [newest] = (await redis.send('XREVRANGE', STREAM, '+', '-', 'COUNT', '1')) as [
      [string, string[]],
    ];
    expect(newest[1][3]?.slice(0, 4)).toBe('899 ');
  });

  const isSent = async (redis: RedisConnection, line: number): Promise<boolean> => {
    const [newest] = (await redis.send('XREVRANGE', STREAM, '+', '-', 'COUNT', '1')) as [
      [string, string[]]?,
    ];
    return newest?.[1][3]?.startsWith(`${line} `) === true;
  };

  it('are found although they were shared late', async () => {
    const { redis } = await connected(server);
    const stream = new RedisAuditStream(redis);
    const before = Date.now() - 3_600_000;
    stream.share('late', before);
    stream.share('in time', Date.now());
    await until('both are shared', async () => (await lengthOf(redis)) === 1);
    expect((await linesIn(stream, { from: before, until: before + 1 })).lines).toContain('late');
  });

  it('wait while Redis is down, in their order', async () => {
    const observed = connectTo(server);
    await ready(observed.redis);
    await server.kill();
    await until('the loss is known', () => !observed.redis.isReady);
    const stream = new RedisAuditStream(observed.redis);
    for (let line = 0; line < 1100; line += 1) stream.share(`line ${line}`, Date.now());
    expect((await linesIn(stream)).read).toBeUndefined();
    await server.start();
    await ready(observed.redis);
    await until('they are shared', async () => {
      const keys = [STREAM, 'session-control:late-audit'];
      const counts = await Promise.all(keys.map((key) => lengthOf(observed.redis, key)));
      return counts.reduce((sum, count) => sum + count) === 1000;
    });
    const { lines } = await linesIn(stream);
    expect(lines.sort()).toEqual(
      Array.from({ length: 1000 }, (_, index) => `line ${index + 100}`).sort(),
    );
  });

  it('get the missing lines once', async () => {
    const { redis } = await connected(server);
    const stream = new RedisAuditStream(redis);
    const time = Date.now();
    stream.share('a', time);
    await until('it is shared', async () => (await lengthOf(redis)) === 1);
    const all = ['a', 'b', 'c'].map((line) => ({ line, time }));
    await stream.shareMissing(all);
    await until('all are shared', async () => (await lengthOf(redis)) === 3);
    await stream.shareMissing(all);
    stream.share('d', Date.now());
    await until('the last one is shared', async () => (await linesIn(stream)).lines.includes('d'));
    expect((await linesIn(stream)).lines).toEqual(['d', 'c', 'b', 'a']);
  });

  it('are read up to the limit, and the result has the time from which on all are read', async () => {
    const { redis } = await connected(server);
    const stream = new RedisAuditStream(redis);
    for (let line = 0; line < 20; line += 1) stream.share(`line ${line}`, Date.now());
    await until('all are shared', async () => (await lengthOf(redis)) === 20);
    const budget = new ReadBudget(0.001, 3_600_000);
    const { lines, read } = await linesIn(stream, { from: 0, until: Infinity }, budget);
    expect(lines).toHaveLength(10);
    expect(read?.readFrom).toBeGreaterThan(0);
  });
});
