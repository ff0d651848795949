import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import express, { type Express } from 'express';
import { rateLimit } from 'express-rate-limit';
import request from 'supertest';
import { RedisCounters } from '../../src/store/redis-stores.ts';
import type { RedisConnection } from '../../src/store/redis-connection.ts';
import { startRedis, type RedisServer } from '../../tools/redis-server.ts';
import { until } from '../support/until.ts';
import { closeAll, connected, connectTo, describeRedis, ready } from './redis.ts';

describeRedis('counters in Redis', () => {
  let server: RedisServer;
  let complaints: unknown[];
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    complaints = [];
    const { redis } = await connected(server);
    await redis.send('FLUSHALL');
  });
  afterEach(async () => {
    server.resume();
    await closeAll();
  });

  /** Returns a replica with a limit of three requests a minute. */
  const replica = (redis: RedisConnection, name = 'caller'): Express => {
    const complain = (error: unknown): unknown => complaints.push(error);
    return express().use(
      rateLimit({
        windowMs: 60_000,
        limit: 3,
        keyGenerator: () => 'the caller',
        store: new RedisCounters(redis, name),
        passOnStoreError: true,
        validate: false,
        logger: { error: complain, warn: complain },
      }),
      (_req, res) => res.sendStatus(204),
    );
  };
  const statuses = async (apps: readonly Express[]): Promise<number[]> => {
    const given: number[] = [];
    for (const app of apps) given.push((await request(app).get('/')).status);
    return given;
  };

  it('count the requests to all replicas', async () => {
    const [one, two] = [await connected(server), await connected(server)].map(({ redis }) =>
      replica(redis),
    ) as [Express, Express];
    expect(await statuses([one, two, one, two, one])).toEqual([204, 204, 204, 429, 429]);
    expect(complaints).toEqual([]);
  });

  it('are separate for different names', async () => {
    const { redis } = await connected(server);
    const [one, two] = [replica(redis, 'one'), replica(redis, 'two')];
    expect(await statuses([one, one, one, one, two])).toEqual([204, 204, 204, 429, 204]);
  });

  it('expire after the window, under names that do not reveal the caller', async () => {
    const { redis } = await connected(server);
    await statuses([replica(redis)]);
    const names = (await redis.send('KEYS', '*')) as string[];
    expect(names).toEqual([
      expect.stringMatching(/^session-control:requests:caller:[0-9a-f]{64}$/),
    ]);
    const left = await redis.send('PTTL', names[0] ?? '');
    expect(left).toBeGreaterThan(50_000);
    expect(left).toBeLessThanOrEqual(60_000);
  });

  it('pass requests while Redis is down at the start, and count once it starts', async () => {
    await server.kill();
    const { redis, events } = connectTo(server);
    const app = replica(redis);
    expect(await statuses([app, app, app, app, app])).toEqual([204, 204, 204, 204, 204]);
    await until('it has failed', () => events.length > 0);
    await server.start();
    await ready(redis);
    expect(await statuses([app, app, app, app])).toEqual([204, 204, 204, 429]);
  });

  it('work again after Redis has lost its data', async () => {
    const { redis } = await connected(server);
    const app = replica(redis);
    expect(await statuses([app, app, app, app])).toEqual([204, 204, 204, 429]);
    await server.kill();
    await server.start();
    await ready(redis);
    expect(await statuses([app, app, app, app])).toEqual([204, 204, 204, 429]);
  });

  it('delay one request up to the timeout if Redis hangs, and no later request', async () => {
    const { redis, events } = await connected(server, { timeoutMs: 300 });
    const app = replica(redis);
    server.pause();
    expect(await statuses([app, app, app, app])).toEqual([204, 204, 204, 204]);
    expect(events).toEqual(['Redis did not reply within 300 ms.']);
    const reasons = complaints.filter((complaint) => complaint instanceof Error);
    expect(reasons.slice(1)).toMatchObject(
      Array.from({ length: 3 }, () => ({ message: 'There is no connection to Redis.' })),
    );
  });
});
