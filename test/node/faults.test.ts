import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openSession, openSessions, type ClientSession } from '../support/client-session.ts';
import { liveIds, nodeOn, servers } from '../support/server.ts';
import { createService } from '../support/service.ts';
import { TcpProxy, type Fault, type Reach, type When } from '../../tools/tcp-proxy.ts';
import { until } from '../support/until.ts';

interface Four {
  readonly processes_killed: readonly bigint[];
  readonly processes_not_found: readonly bigint[];
  readonly processes_failed?: readonly bigint[];
  readonly processes_unknown?: readonly bigint[];
}

describe.each(servers)('a faulty connection to $flavour $version', (server) => {
  const opened: ClientSession[] = [];
  let proxy: TcpProxy;

  beforeEach(async () => {
    proxy = await TcpProxy.start(server.host, server.port);
  });
  afterEach(async () => {
    await proxy.close();
    for (const session of opened.splice(0)) session.close();
  });

  async function openThree(): Promise<[ClientSession, ClientSession, ClientSession]> {
    for (let n = 0; n < 3; n += 1) opened.push(await openSession(server));
    return opened.slice(-3) as [ClientSession, ClientSession, ClientSession];
  }

  /** Starts a service without TLS to the node, so that the proxy can find a text. */
  function start(requestTimeoutMs?: number) {
    const line = {
      host: '127.0.0.1',
      port: proxy.port,
      tls: 'disabled',
      killTimeoutMs: 700,
    } as const;
    if (requestTimeoutMs === undefined) return createService({ registry: [nodeOn(server, line)] });
    const [connectTimeoutMs, listTimeoutMs, killTimeoutMs] = [600_000, 600_000, 600_000];
    const patient = { ...line, connectTimeoutMs, listTimeoutMs, killTimeoutMs };
    return createService({ registry: [nodeOn(server, patient)], requestTimeoutMs });
  }

  async function expectGone(...sessions: ClientSession[]): Promise<void> {
    await until('they are gone', async () => {
      const alive = await liveIds(server);
      return sessions.every(({ id }) => !alive.has(id));
    });
  }

  it.each([
    ['loses the answer', { kind: 'black hole' } as const],
    ['is reset', { kind: 'reset' } as const],
    ['is cut', { kind: 'cut' } as const],
  ])('that %s after a KILL arrives has all sessions reported as killed', async (_what, fault) => {
    const [first, second, third] = await openThree();
    proxy.injectAt('to server', `KILL CONNECTION ${second.id}`, fault, {
      connections: 1,
      // An earlier fault would be ambiguous: the end of the old connection could overtake the KILL.
      when: 'answered',
      faulty: 'to client',
    });

    const answer = await start().kill([first.id, second.id, third.id, 4_000_000_000n]);

    expect(proxy.struck).toBe(1);
    expect([answer.status, answer.body]).toEqual([
      200,
      {
        processes_killed: [first.id, second.id, third.id],
        processes_not_found: [4_000_000_000n],
      },
    ]);
    await expectGone(first, second, third);
  });

  it('that is only slow has all sessions killed', async () => {
    const sessions = await openThree();
    proxy.inject('to client', { kind: 'delay', ms: 150 });
    const ids = sessions.map(({ id }) => id);
    expect((await start().kill(ids)).body).toEqual({
      processes_killed: ids,
      processes_not_found: [],
    });
    await expectGone(...sessions);
  });

  it('that is cut before a KILL arrives has its session reported as failed, and the rest killed', async () => {
    const [first, second, third] = await openThree();
    const kill = `KILL CONNECTION ${second.id}`;
    proxy.injectAt('to server', kill, { kind: 'cut' }, { when: 'before', connections: 1 });

    const answer = await start().kill([first.id, second.id, third.id]);

    expect(answer.status).toBe(500);
    expect(answer.body).toMatchObject({
      processes_killed: [first.id, third.id],
      processes_failed: [second.id],
      processes_unknown: [],
    });
    await expectGone(first, third);
    await expect(second.connection.query('SELECT 1')).resolves.toBeDefined();
  });

  it('that holds a KILL back has its session reported as failed, and the late KILL ends nothing', async () => {
    const [first, second, third] = await openThree();
    const kill = `KILL CONNECTION ${second.id}`;
    proxy.injectAt('to server', kill, { kind: 'black hole' }, { when: 'before', connections: 1 });

    const answer = await start().kill([first.id, second.id, third.id]);
    proxy.heal({ flush: true });

    expect(answer.status).toBe(500);
    expect(answer.body).toMatchObject({
      processes_killed: [first.id, third.id],
      processes_failed: [second.id],
    });
    await until('only the new connection is left', () => proxy.open === 1);
    await expectGone(first, third);
    await expect(second.connection.query('SELECT 1')).resolves.toBeDefined();
  });

  it.each(['SET NAMES', 'CONNECTION_ID()', 'SHOW GRANTS', 'SHOW PROCESSLIST'])(
    'that is reset at %s leaves every session alive, and the response says why',
    async (text) => {
      const [session] = await openThree();
      proxy.injectAt('to server', text, { kind: 'reset' });

      const answer = await start().kill([session.id]);

      expect(answer.status).toBe(500);
      expect(Object.keys(answer.body as object)).toEqual(['error_code', 'error_msg']);
      await expect(session.connection.query('SELECT 1')).resolves.toBeDefined();
    },
  );

  // The timeouts of the node are longer than the test: only the request timeout can end the request.
  it.each([
    ['the service connects', undefined],
    ['the service prepares the connection', 'SET NAMES'],
    ['the service identifies the server', 'CONNECTION_ID()'],
    ['the service reads the grants', 'SHOW GRANTS'],
    ['the service reads the list', 'SHOW PROCESSLIST'],
    ['the service sends a KILL', 'KILL CONNECTION'],
  ])('that falls silent while %s ends the request at its limit', async (_phase, text) => {
    const [session] = await openThree();
    if (text === undefined) proxy.inject('to client', { kind: 'black hole' });
    else proxy.injectAt('to server', text, { kind: 'black hole' }, { when: 'before' });

    const answer = await start(500).kill([session.id]);

    expect(answer.status).toBe(500);
    proxy.heal({ flush: true });
    if (text === 'KILL CONNECTION') {
      expect(answer.body).toMatchObject({ processes_unknown: [session.id] });
    } else {
      expect(Object.keys(answer.body as object)).toEqual(['error_code', 'error_msg']);
      await expect(session.connection.query('SELECT 1')).resolves.toBeDefined();
    }
  });

  it.each<[string, Fault, Reach & { when?: When }]>([
    ['is cut', { kind: 'cut' }, { when: 'before' }],
    ['is reset', { kind: 'reset' }, { when: 'answered' }],
    ['goes silent', { kind: 'black hole' }, { when: 'answered', faulty: 'to client' }],
    ['goes silent before they arrive', { kind: 'black hole' }, { when: 'before' }],
  ])(
    'that %s during many KILLs has the correct outcome for each id',
    async (_what, fault, reach) => {
      opened.push(...(await openSessions(server, 150)));
      const ids = opened.map(({ id }) => id);
      const kill = `KILL CONNECTION ${ids[40] ?? 0n}`;
      proxy.injectAt('to server', kill, fault, { ...reach, connections: 1 });

      const { status, body } = await start().kill(ids);
      proxy.heal({ flush: true });

      expect(proxy.struck).toBe(1);
      const told = body as Four;
      const { processes_killed: killed, processes_failed: failed = [] } = told;
      expect(told).toMatchObject({ processes_not_found: [] });
      expect(told.processes_unknown ?? []).toEqual([]);
      expect(status).toBe(failed.length > 0 ? 500 : 200);
      expect([...killed, ...failed].sort()).toEqual([...ids].sort());
      // At most the KILLs that were on their way fail. The others go over a new connection.
      if (reach.when === 'before') expect(failed).toContain(ids[40]);
      expect(failed.length).toBeLessThanOrEqual(64);
      await until('the killed are gone', async () => {
        const alive = await liveIds(server);
        return killed.every((id) => !alive.has(id));
      });
      const alive = await liveIds(server);
      expect(failed.filter((id) => !alive.has(id))).toEqual([]);
    },
  );

  it('that is reset at any byte of the answers has one correct outcome for each id', async () => {
    const service = start();
    for (let bytes = 1; bytes < 2500; bytes += 97) {
      const sessions = await openThree();
      const ids = sessions.map(({ id }) => id);
      proxy.inject('to client', { kind: 'reset' }, { afterBytes: bytes, connections: 1 });

      const { body } = await service.kill(ids);
      proxy.heal();

      const told = body as Partial<Four>;
      if (told.processes_killed !== undefined) {
        const { processes_killed: killed = [], processes_not_found: notFound = [] } = told;
        const { processes_failed: failed = [], processes_unknown: unknown = [] } = told;
        expect([...killed, ...notFound, ...failed, ...unknown].sort()).toEqual([...ids].sort());
        await until('the killed are gone', async () => {
          const alive = await liveIds(server);
          return killed.every((id) => !alive.has(id));
        });
        const alive = await liveIds(server);
        expect(failed.filter((id) => !alive.has(id))).toEqual([]);
        expect(notFound).toEqual([]);
      } else {
        // The request failed as a whole, so no KILL was sent.
        const alive = await liveIds(server);
        expect(ids.filter((id) => !alive.has(id))).toEqual([]);
      }
      for (const session of opened.splice(0)) session.close();
    }
  });
});
