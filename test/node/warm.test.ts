import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { openConnection } from '../../src/mysql/driver/open-connection.ts';
import { NotSentError } from '../../src/mysql/driver/driver-connection.ts';
import { TcpProxy } from '../../tools/tcp-proxy.ts';
import { openSessions, type ClientSession } from '../support/client-session.ts';
import { asRoot, liveIds, nodeOn, pinOf, servers } from '../support/server.ts';
import { createService } from '../support/service.ts';
import { until } from '../support/until.ts';

describe.each(servers)('a control connection to $flavour $version', (server) => {
  let proxy: TcpProxy;
  let nodes: MysqlNodes;
  const opened: ClientSession[] = [];
  beforeEach(async () => {
    proxy = await TcpProxy.start(server.host, server.port);
    nodes = new MysqlNodes();
  });
  afterEach(async () => {
    nodes.close();
    await proxy.close();
    for (const session of opened.splice(0)) session.close();
  });

  const node = () =>
    nodeOn(server, {
      host: '127.0.0.1',
      port: proxy.port,
      tls: 'disabled',
      connectTimeoutMs: 1000,
    });
  const start = () => createService({ registry: [node()], nodes });

  async function open(count: number): Promise<ClientSession[]> {
    const sessions = await openSessions(server, count);
    opened.push(...sessions);
    return sessions;
  }

  it('sends no more statements once it is broken', async () => {
    const connection = await openConnection(node(), node(), performance.now() + 5000);
    connection.break();
    expect(connection.isBroken()).toBe(true);
    const trouble = connection.query('DO 0', 1000, Infinity);
    await expect(trouble).rejects.toBeInstanceOf(NotSentError);
  });

  it('is opened once, and serves both sequential and concurrent requests', async () => {
    // On a slow machine, a late answer makes the service open a second connection. The test then tries again.
    await until('one is enough', async () => {
      const before = proxy.connections;
      const fresh = new MysqlNodes();
      const service = createService({ registry: [node()], nodes: fresh });
      for (const { id } of await open(3)) {
        expect((await service.kill([id])).body).toMatchObject({ processes_killed: [id] });
      }
      const answers = await Promise.all(
        (await open(20)).map(async ({ id }) => [id, (await service.kill([id])).body] as const),
      );
      for (const [id, body] of answers) {
        expect(body).toEqual({ processes_killed: [id], processes_not_found: [] });
      }
      fresh.close();
      return proxy.connections === before + 1;
    });
  });

  it('reads a new list for a caller that arrives during a list, so that newer sessions are in it', async () => {
    const [text, fault] = ['SHOW PROCESSLIST', { kind: 'black hole' }] as const;
    proxy.injectAt('to server', text, fault, { when: 'answered', faulty: 'to client' });
    await nodes.withConnection(node(), performance.now() + 10_000, async (connection) => {
      const first = connection.list(Infinity);
      await until('the node has answered', () => proxy.struck === 1);
      const [session] = await open(1);
      const second = connection.list(Infinity);
      proxy.heal({ flush: true });
      const ids = (await Promise.all([first, second])).map(({ rows }) => rows.map(({ id }) => id));
      const isShown = ids.map((shown) => shown.includes(String(session?.id)));
      expect(isShown).toEqual([false, true]);
    });
  });

  it('can be opened before the first request', async () => {
    await nodes.warm([node()]);
    expect(proxy.connections).toBe(1);
    expect((await start().list()).status).toBe(200);
    expect(proxy.connections).toBe(1);
  });

  it('that was killed is replaced, before the next request or with it', async () => {
    const service = start();
    for (const isWaitedFor of [true, false]) {
      expect((await service.list()).status).toBe(200);
      const before = proxy.connections;
      // End this connection alone, because concurrent tests have connections of the same account.
      const ours = await nodes.withConnection(node(), Infinity, ({ id }) => Promise.resolve(id));
      await asRoot(server, (root) => root.query(`KILL ${ours}`));
      if (isWaitedFor) await until('there is a new one', () => proxy.connections > before);
      const [session] = await open(1);
      const { body } = await service.kill([session?.id ?? 0n]);
      expect(body).toMatchObject({ processes_killed: [session?.id] });
    }
  });

  it.each([
    [2, 'before it gave a list', false],
    [1, 'after it gave a list', true],
  ])('begins the work of a request %i times if it breaks %s', async (times, _when, isListed) => {
    await nodes.warm([node()]);
    let begun = 0;
    const work = nodes.withConnection(node(), Infinity, async (connection) => {
      begun += 1;
      if (begun > 1) return;
      if (isListed) await connection.list(Infinity);
      await asRoot(server, (root) => root.query(`KILL ${connection.id}`));
      await until('it is broken', () =>
        connection.transactions(Infinity).then(
          () => false,
          () => true,
        ),
      );
      throw new Error('it broke');
    });
    await work.catch(() => undefined);
    expect(begun).toBe(times);
  });

  it('survives a reload that keeps its node unchanged, and is closed by one that changes it', async () => {
    const service = start();
    await service.list();
    nodes.retain([node()]);
    await service.list();
    expect([proxy.connections, proxy.open]).toEqual([1, 1]);
    nodes.retain([{ ...node(), internalUsers: ['backup'] }]);
    await until('it is closed', () => proxy.open === 0);
  });

  it('to a node that a reload removed serves its last request, and is then closed', async () => {
    nodes.retain([]);
    expect((await start().list()).status).toBe(200);
    await until('it is closed', () => proxy.open === 0);
    await nodes.warm([node()]);
    expect([proxy.connections, nodes.counts().connections]).toMatchObject([
      1,
      { idle: 0, in_use: 0 },
    ]);
  });

  it('that was slow resolves the unanswered KILLs of a newer connection', async () => {
    const service = createService({ registry: [{ ...node(), killTimeoutMs: 1000 }], nodes });
    const ids = (await open(2)).map(({ id }) => id);
    await service.list();
    proxy.strike('to client', { kind: 'delay', ms: 700 });
    const slow = service.list();
    await pause(300);
    const swallowed = { when: 'answered', faulty: 'to client', connections: 1 } as const;
    proxy.injectAt('to server', 'KILL CONNECTION', { kind: 'black hole' }, swallowed);
    const { body } = await service.kill(ids);
    expect([body, proxy.connections]).toEqual([
      { processes_killed: ids, processes_not_found: [] },
      2,
    ]);
    expect([...(await liveIds(server))].filter((id) => ids.includes(id))).toEqual([]);
    expect((await slow).status).toBe(200);
  });

  it('that was slow is used again once it answers, while a second connection cannot be opened', async () => {
    const service = createService({ registry: [{ ...node(), connectTimeoutMs: 10_000 }], nodes });
    const [session] = await open(1);
    await service.list();
    proxy.strike('to client', { kind: 'delay', ms: 500 });
    proxy.inject('to client', { kind: 'black hole' });
    const slow = service.list();
    await pause(300);
    const { body } = await service.kill([session?.id ?? 0n]);
    expect(body).toEqual({ processes_killed: [session?.id], processes_not_found: [] });
    expect([proxy.connections, nodes.counts().connections.opening]).toEqual([2, 1]);
    expect((await slow).status).toBe(200);
  });

  it('over the spare port that was slow stays open for a request that waits for it', async () => {
    const shut = await TcpProxy.start(server.host, server.port);
    shut.inject('to client', { kind: 'reset' });
    const admin = { host: '127.0.0.1', port: proxy.port };
    const address = { port: shut.port, admin, connectTimeoutMs: 10_000 };
    const spare = { ...node(), ...address, ...(await pinOf(server)) };
    try {
      let isSlow = false;
      const first = nodes.withConnection(spare, Infinity, async (connection) => {
        await connection.list(Infinity);
        shut.heal();
        shut.inject('to client', { kind: 'black hole' });
        proxy.strike('to client', { kind: 'delay', ms: 500 });
        isSlow = true;
        await connection.transactions(Infinity);
      });
      await until('it is slow', () => isSlow);
      await pause(250);
      const second = nodes.withConnection(spare, Infinity, (connection) =>
        connection.list(Infinity),
      );
      await first;
      expect((await second).rows.length).toBeGreaterThan(0);
      expect(proxy.connections).toBe(1);
    } finally {
      nodes.close();
      await shut.close();
    }
  });

  it('under the account from before a reload is not a session while it is open', async () => {
    const before = { user: `sc_before_${process.pid}`, password: 'sc_before' };
    const admin = server.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER ${before.user}@'%' IDENTIFIED BY '${before.password}'`);
      await root.query(`GRANT PROCESS, ${admin} ON *.* TO ${before.user}@'%'`);
    });
    try {
      const offered = { ...node(), tls: 'offered' as const };
      const old = { ...offered, ...before };
      await nodes.withConnection(old, performance.now() + 20_000, async (held) => {
        nodes.retain([offered]);
        const service = createService({ registry: [offered], nodes });
        const { body } = await service.kill([held.id]);
        expect(body).toEqual({ processes_killed: [], processes_not_found: [held.id] });
        expect((await held.list(performance.now() + 5000)).rows.length).toBeGreaterThan(0);
      });
    } finally {
      await asRoot(server, (root) => root.query(`DROP USER ${before.user}@'%'`));
    }
  });

  it('that opens after its request has ended is closed with the pool', async () => {
    proxy.inject('to client', { kind: 'delay', ms: 100 });
    const work = nodes.withConnection(node(), performance.now() + 150, () => Promise.resolve());
    await expect(work).rejects.toMatchObject({ message: 'The request reached its time limit.' });
    nodes.close();
    await until('it was opened, and is closed', () => proxy.connections === 1 && proxy.open === 0);
  });

  it('is not attempted after three failures in a row, and is open soon after the node is back', async () => {
    proxy.inject('to client', { kind: 'reset' });
    const service = start();
    for (let tries = 0; tries < 3; tries += 1) expect((await service.list()).status).toBe(500);
    const refused = await service.list();
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5']);
    expect(refused.body).toMatchObject({
      error_code: 'APIGW.0201',
      // The header has the only waiting time.
      error_msg:
        'Backend unavailable. The node could not be reached 3 times in a row, so the service pauses before the next attempt.',
    });
    proxy.heal();
    await until('it is served again', async () => (await service.list()).status === 200);
  });
});
