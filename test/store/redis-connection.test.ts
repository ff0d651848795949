import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { generate } from 'selfsigned';
import { startRedis, type RedisServer } from '../../tools/redis-server.ts';
import { until } from '../support/until.ts';
import { closeAll, connected, connectTo, describeRedis, ready, settlesAtOnce } from './redis.ts';

describeRedis('a connection to Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());
  afterEach(async () => {
    server.resume();
    await closeAll();
  });

  it('sends commands and returns the replies of Redis, also errors', async () => {
    const { redis, events } = await connected(server);
    expect(await redis.send('SET', 'a', 'ü')).toBe('OK');
    expect(await redis.send('GET', 'a')).toBe('ü');
    expect(await redis.send('GET', 'none')).toBeNull();
    expect(await redis.send('EVAL', 'return {1, {"two"}}', '0')).toEqual([1, ['two']]);
    await expect(redis.send('INCR', 'a')).rejects.toThrow(/^ERR value is not an integer/);
    expect(redis.isReady).toBe(true);
    expect(events).toEqual([]);
  });

  it('reports once that Redis is down at its start, and connects when Redis starts', async () => {
    const late = await startRedis();
    await late.kill();
    const { redis, events } = connectTo(late);
    await until('it has failed', () => events.length > 0);
    await expect(redis.send('PING')).rejects.toThrow('There is no connection to Redis.');
    await late.start();
    await ready(redis);
    expect(events).toEqual([expect.stringContaining('ECONNREFUSED'), 'back']);
    expect(await redis.send('PING')).toBe('PONG');
    await redis.close();
    await late.stop();
  });

  it('reports each outage once', async () => {
    const { redis, events } = await connected(server);
    for (let outage = 1; outage <= 2; outage++) {
      await server.kill();
      await until('it is lost', () => !redis.isReady);
      await server.start();
      await ready(redis);
      expect(events).toHaveLength(2 * outage);
    }
    expect(events.filter((event) => event === 'back')).toHaveLength(2);
  });

  it('rejects all waiting commands if one reply is late', async () => {
    const { redis, events } = await connected(server, { timeoutMs: 300 });
    server.pause();
    const [first, ...others] = ['a', 'b', 'c'].map((key) => redis.send('GET', key));
    const rest = Promise.allSettled(others);
    await expect(first).rejects.toThrow('Disconnects client');
    expect(await settlesAtOnce(rest)).toBe(true);
    expect((await rest).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(events).toEqual(['Redis did not reply within 300 ms.']);
    server.resume();
    await ready(redis);
  });

  it('serves its ready listeners before other commands', async () => {
    const { redis } = connectTo(server);
    const replies: unknown[] = [];
    redis.onReady(() => {
      void redis.send('ECHO', 'first').then((reply) => replies.push(reply));
    });
    await ready(redis);
    replies.push(await redis.send('ECHO', 'second'));
    expect(replies).toEqual(['first', 'second']);
  });

  it.each([
    ['a wrong password', { password: 'wrong' }, 'WRONGPASS'],
    ['no password', { password: undefined }, 'NOAUTH'],
  ])('is not made with %s', async (_what, further, complaint) => {
    const { redis, events } = connectTo(server, { ...further, database: 1 });
    await until('it was refused', () => events.length > 0);
    expect(events).toEqual([expect.stringContaining(complaint)]);
    expect(redis.isReady).toBe(false);
  });

  it('uses the account and the database that it is given', async () => {
    const { redis: root } = await connected(server);
    await root.send('ACL', 'SETUSER', 'svc', 'on', '>secret', '~*', '+@all');
    const { redis } = await connected(server, { username: 'svc', password: 'secret', database: 3 });
    expect(await redis.send('ACL', 'WHOAMI')).toBe('svc');
    await redis.send('SET', 'where', 'three');
    expect(await root.send('GET', 'where')).toBeNull();
  });

  it('does not wait for a server that accepts the connection and stays silent', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket.resume())).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const { redis, events } = connectTo(server, { port, timeoutMs: 100 });
    await until('the connection is retried', () => sockets.length >= 3);
    expect(events).toEqual(['Redis did not greet within 100 ms.']);
    await redis.close();
    await until('nothing is left open', () => sockets.every(({ destroyed }) => destroyed));
    silent.close();
  });

  it('can be closed in any state, without an event', async () => {
    const ended = await connected(server);
    const under = ended.redis.send('BLPOP', 'nothing', '0');
    await Promise.all([ended.redis.close(), expect(under).rejects.toThrow()]);
    await expect(ended.redis.send('PING')).rejects.toThrow('There is no connection to Redis.');
    await ended.redis.close();
    const beginning = connectTo(server);
    await beginning.redis.close();
    expect(beginning.redis.isReady).toBe(false);
    expect([...ended.events, ...beginning.events]).toEqual([]);
    const { redis } = await connected(server);
    const clients = String(await redis.send('CLIENT', 'LIST', 'TYPE', 'normal'));
    expect(clients.trimEnd().split('\n')).toHaveLength(1);
  });
});

describeRedis('a connection to Redis with TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'session-control-redis-tls-'));
  let server: RedisServer;
  let ca: string;
  beforeAll(async () => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'redis' }], {
      keySize: 2048,
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
    });
    ca = cert;
    chmodSync(folder, 0o755);
    for (const [name, pem] of [
      ['cert', cert],
      ['key', key],
    ] as const) {
      writeFileSync(join(folder, name), pem, { mode: 0o644 });
    }
    server = await startRedis([
      ...['--tls-cert-file', join(folder, 'cert'), '--tls-key-file', join(folder, 'key')],
      ...['--tls-auth-clients', 'no'],
    ]);
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  afterEach(closeAll);

  it('is made only with a server whose certificate is trusted', async () => {
    const { redis } = await connected(server);
    // Only Redis can find out which port is free, by opening it.
    const port = await freePortFor((candidate) =>
      redis.send('CONFIG', 'SET', 'tls-port', candidate.toString()),
    );
    const trusted = await connected(server, { port, tls: { ca } });
    expect(await trusted.redis.send('PING')).toBe('PONG');
    const untrusted = connectTo(server, { port, tls: {} });
    await until('it was refused', () => untrusted.events.length > 0);
    expect(untrusted.events).toEqual([expect.stringContaining('self-signed certificate')]);
    const wrongName = connectTo(server, { host: 'localhost', port, tls: { ca } });
    await until('it was refused', () => wrongName.events.length > 0);
    expect(wrongName.events).toEqual([
      expect.stringContaining("does not match certificate's altnames"),
    ]);
    expect(untrusted.redis.isReady || wrongName.redis.isReady).toBe(false);
  });
});

async function freePortFor(use: (port: number) => Promise<unknown>): Promise<number> {
  for (let port = 10_001; ; port += 97) {
    const isUsed = await use(port).catch((error: unknown) => error);
    if (isUsed === 'OK') return port;
    if (port > 32_000) throw new Error('There is no free port.', { cause: isUsed });
  }
}
