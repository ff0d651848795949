import { mkdtempSync, rmSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { NO_AUDIT, type Audit } from '../../src/domain/termination.ts';
import type { ControlConnection, Node, Nodes } from '../../src/domain/node.ts';
import { sessionOf, type ProcessListRow, type Session } from '../../src/domain/session.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { SessionProxy } from '../../tools/session-proxy.ts';
import { TcpProxy } from '../../tools/tcp-proxy.ts';
import { changedConnection } from '../support/changed-connection.ts';
import { checkNode } from '../support/checked-node.ts';
import { openSession, openSessions, type ClientSession } from '../support/client-session.ts';
import { processesPath } from '../support/ids.ts';
import {
  admitWithoutTls,
  asRoot,
  createAccounts,
  liveIds,
  nodeOn,
  pinOf,
  servers,
  type Server,
} from '../support/server.ts';
import { createService, TOKEN, type Answer, type TestService } from '../support/service.ts';
import { until } from '../support/until.ts';

const OTHER_SPARE =
  'The spare port leads to another server than the main port, so the service does not use it. Correct admin_host or admin_port in the registry, or wait until the main port answers.';
const UNPROVEN_SPARE =
  'The main port accepts no login, and nothing proves that the spare port leads to the same server. Run session-control check while the main port answers, and add the line that it prints to the registry.';
const NOT_PINNED =
  "The server at the node's address is not the one that server_uuid or server_identity names. Correct that line or the address in the registry.";
const OTHER_SERVER =
  "Another server answers at the node's address now, so the service sends nothing more to the previous one. Try again.";
const moved = { code: 'node_unavailable', message: OTHER_SERVER };
const PROXY =
  "A proxy that has its own session ids answers in the node's place, so a KILL could end another session. Give the registry the node's own address.";

for (const server of servers) {
  const { flavour, version, canHavePair } = server;
  (canHavePair ? describe : describe.skip)(`the server of a ${flavour} ${version} node:`, () => {
    testIdentity(server);
  });
}

function testIdentity(server: Server): void {
  let own: OwnServer;
  /** Another server with the same control account. */
  let other: Server;
  let main: TcpProxy;
  let nodes: MysqlNodes;
  const opened: ClientSession[] = [];

  beforeAll(async () => {
    own = await startServer(server.flavour);
    other = { ...(await createAccounts(own)), control: server.control };
    const { user, password } = server.control;
    const killAny = server.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
    await asRoot(other, async (root) => {
      await root.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
      await root.query(`GRANT PROCESS, ${killAny} ON *.* TO '${user}'@'%'`);
    });
    await admitWithoutTls(other, other.control);
  }, 120_000);
  beforeEach(async () => {
    main = await TcpProxy.start(server.host, server.port);
    nodes = new MysqlNodes();
  });
  afterEach(async () => {
    nodes.close();
    await main.close();
    for (const session of opened.splice(0)) session.close();
  });
  afterAll(async () => {
    await own.stop();
  });

  async function open(on: Server): Promise<ClientSession> {
    const session = await openSession(on);
    opened.push(session);
    return session;
  }

  /** Returns the node, with the proxy before its main port. */
  function nodeWith(spare: Server | undefined, changes: Partial<Node> = {}): Node {
    const admin = spare && { host: spare.host, port: spare.port };
    return nodeOn(server, { host: '127.0.0.1', port: main.port, admin, ...changes });
  }

  function start(node: Node): TestService {
    return createService({ registry: [node], nodes });
  }

  function shutMain(): void {
    main.inject('to client', { kind: 'reset' });
    main.strike('to client', { kind: 'cut' });
  }

  async function expectRefused(answer: Answer, sentence: string, ...alive: ClientSession[]) {
    expect([answer.status, answer.body]).toEqual([
      500,
      { error_code: 'DBS.200005', error_msg: `Server failure. ${sentence}` },
    ]);
    for (const { connection } of alive) {
      await expect(connection.query('SELECT 1')).resolves.toBeDefined();
    }
  }

  /** Waits until the pool has a connection to another server beside the slow one. */
  async function untilMoved(node: Node, slow: ControlConnection): Promise<void> {
    await until('there is a connection to another server', () =>
      nodes.withConnection(node, Infinity, ({ incarnation }) =>
        Promise.resolve(incarnation.server !== slow.incarnation.server),
      ),
    );
  }

  async function capabilities(service: TestService, language = 'en-us'): Promise<object> {
    const path = processesPath().replace(/processes$/, 'capabilities');
    const headers = { 'X-Auth-Token': TOKEN, 'X-Language': language };
    return (await request(service.app).get(path).set(headers).expect(200)).body as object;
  }

  describe('a spare port', () => {
    it('of another server than that of the main port is not used', async () => {
      const [here, there] = [await open(server), await open(other)];
      const service = start(nodeWith(other));
      expect((await service.list()).status).toBe(200);
      shutMain();
      await expectRefused(await service.kill([here.id, there.id]), OTHER_SPARE, here, there);
      await expectRefused(await service.list(), OTHER_SPARE);
      const logged = service.events.map(({ fields }) => (fields as { reason?: string }).reason);
      expect(logged).toEqual([undefined, OTHER_SPARE, OTHER_SPARE]);
      main.heal();
      expect(await capabilities(service)).toMatchObject({
        main_port: 'open',
        admin_port: OTHER_SPARE,
      });
      expect(await capabilities(service, 'zh-cn')).toMatchObject({
        admin_port:
          '备用端口与主端口指向不同的服务器，因此不予使用。请更正注册表中的admin_host或admin_port，或等待主端口可用。',
      });
    });

    it('is not used before the main port is reached for the first time, unless the server is pinned', async () => {
      const [victim, there] = [await open(server), await open(other)];
      shutMain();
      const unpinned = start(nodeWith(server));
      await expectRefused(await unpinned.kill([victim.id]), UNPROVEN_SPARE, victim);
      nodes.close();

      const pin = await pinOf(server);
      nodes = new MysqlNodes();
      const wrong = start(nodeWith(other, pin));
      await expectRefused(await wrong.kill([victim.id, there.id]), NOT_PINNED, victim, there);
      nodes.close();

      nodes = new MysqlNodes();
      const answer = await start(nodeWith(server, pin)).kill([victim.id]);
      expect(answer.body).toEqual({ processes_killed: [victim.id], processes_not_found: [] });
      await until('the victim is gone', async () => !(await liveIds(server)).has(victim.id));
    });

    it('of the same server as the main port is used, also after a reload', async () => {
      const [victim, next] = [await open(server), await open(server)];
      const node = nodeWith(server);
      expect((await start(node).list()).status).toBe(200);
      shutMain();
      const answer = await start(node).kill([victim.id]);
      expect(answer.body).toEqual({ processes_killed: [victim.id], processes_not_found: [] });

      const reloaded = { ...node, internalUsers: ['backup'] };
      nodes.retain([reloaded]);
      const after = await start(reloaded).kill([next.id]);
      expect(after.body).toEqual({ processes_killed: [next.id], processes_not_found: [] });
    });
  });

  it('a spare port is still proven after a request with the node from before a reload', async () => {
    const victim = await open(server);
    const [before, present] = [nodeWith(undefined), nodeWith(server)];
    nodes.retain([present]);
    expect((await start(present).list()).status).toBe(200);
    expect((await start(before).list()).status).toBe(200);

    const next = { ...present, internalUsers: ['backup'] };
    nodes.retain([next]);
    shutMain();
    const answer = await start(next).kill([victim.id]);
    expect(answer.body).toEqual({ processes_killed: [victim.id], processes_not_found: [] });
  });

  describe('check', () => {
    const folder = mkdtempSync(join(tmpdir(), 'session-control-identity-'));
    afterAll(() => {
      rmSync(folder, { recursive: true });
    });

    it.each(['', 'than the pinned one'])(
      'reports a spare port of another server %s',
      async (isPinned) => {
        const { serverUuid, serverIdentity } = await pinOf(server);
        const pin =
          serverUuid === undefined
            ? { server_identity: serverIdentity }
            : { server_uuid: serverUuid };
        const keys = { admin_port: other.port, ...(isPinned && pin) };
        const more = Object.entries(keys)
          .map(([key, value]) => `${key}: ${String(value)}`)
          .join('\n    ');
        const sentence = isPinned ? NOT_PINNED : OTHER_SPARE;
        expect(await checkNode(folder, server, { more })).toMatchObject([
          1,
          {
            reachable: true,
            main_port: 'open',
            admin_port: sentence,
            troubles: [`The spare port, ${other.host}:${other.port}: ${sentence}`],
          },
        ]);
      },
    );
  });

  describe('a proxy that answers KILL itself', () => {
    it('is refused', async () => {
      const victim = await open(server);
      const proxy = await SessionProxy.start(server.host, server.port);
      try {
        const service = start(nodeWith(undefined, { port: proxy.port, tls: 'disabled' }));
        await expectRefused(await service.kill([victim.id]), PROXY, victim);
        expect(await capabilities(service)).toMatchObject({ reachable: false, main_port: PROXY });
        expect(proxy.kills).toEqual([]);
      } finally {
        await proxy.close();
      }
    });
  });

  describe('a name', () => {
    let elsewhere: TcpProxy;
    let leadsTo = '127.0.0.1';
    const lookup: LookupFunction = (_name, options, done) => {
      if (options.all === true) done(null, [{ address: leadsTo, family: 4 }]);
      else done(null, leadsTo, 4);
    };
    beforeEach(async () => {
      leadsTo = '127.0.0.1';
      // On a busy machine, another socket can already use this port at the second address.
      await until('a port is free at both addresses', async () => {
        const listen = { host: '127.77.0.1', port: main.port };
        const proxy = await TcpProxy.start(other.host, other.port, listen).catch(() => undefined);
        if (proxy !== undefined) {
          elsewhere = proxy;
          return true;
        }
        await main.close();
        main = await TcpProxy.start(server.host, server.port);
        return false;
      });
      nodes = new MysqlNodes(undefined, lookup);
    });
    afterEach(async () => {
      nodes.close();
      await elsewhere.close();
    });

    it('that resolves to another server takes effect with a reload, and the old server gets no KILL', async () => {
      const [here, there] = [await open(server), await open(other)];
      const node = nodeWith(undefined, { host: 'db.internal', tls: 'disabled' });
      const service = start(node);
      nodes.retain([node]);
      expect((await service.find([here.id])).body).toMatchObject({ processes_killed: [here.id] });

      leadsTo = '127.77.0.1';
      nodes.retain([node]);
      await until('the connection is closed', () => main.open === 0);
      await until('there is one to the other server', () => nodes.counts().connections.idle === 1);

      const answer = await service.kill([there.id]);
      expect(answer.body).toEqual({ processes_killed: [there.id], processes_not_found: [] });
      expect((await liveIds(server)).has(here.id)).toBe(true);
    });

    it('that resolves to another server takes effect with a capabilities request, also for a DELETE in progress', async () => {
      const [here, there] = [await open(server), await open(other)];
      const node = nodeWith(undefined, { host: 'db.internal', tls: 'disabled' });
      const service = start(node);
      await nodes.withConnection(node, Infinity, async (connection) => {
        const { rows } = await connection.list(Infinity);
        const row = rows.find(({ id }) => id === here.id.toString());
        leadsTo = '127.77.0.1';
        expect(await capabilities(service)).toMatchObject({ reachable: true, connected: false });
        const session = sessionOf(row as ProcessListRow & { id: string });
        const result = await connection.kill(session, { sendBy: Infinity, deadline: Infinity });
        expect(result.outcome).toBe('not_sent');
      });
      expect((await service.find([there.id])).body).toMatchObject({ processes_killed: [there.id] });
      expect((await liveIds(server)).has(here.id)).toBe(true);
      await until('the connection is closed', () => main.open === 0);
    });

    it('that resolves to another server ends a DELETE in progress with a reason, after at most 5 lists', async () => {
      const [here, there] = [await open(server), await open(other)];
      const node = nodeWith(undefined, { host: 'db.internal', tls: 'disabled' });
      let lists = 0;
      const counting: Nodes = {
        probe: (...args) => nodes.probe(...args),
        withConnection: (to, deadline, work) =>
          nodes.withConnection(to, deadline, (connection) =>
            work(
              changedConnection(connection, {
                list: (...args) => {
                  lists += 1;
                  return connection.list(...args);
                },
              }),
            ),
          ),
      };
      const audit: Audit = {
        ...NO_AUDIT,
        intend: async () => {
          leadsTo = '127.77.0.1';
          expect(await nodes.probe(node, Infinity)).toMatchObject({ isConnected: false });
        },
      };
      const service = createService({
        registry: [node],
        nodes: counting,
        audit,
        requestTimeoutMs: 3000,
      });
      const answer = await service.kill([here.id]);
      expect([answer.status, answer.body]).toEqual([
        500,
        {
          error_code: 'DBS.200005',
          error_msg: `Server failure. 0 killed, 0 not found, 1 failed, 0 unknown. Failed: ${here.id}. ${OTHER_SERVER}`,
          processes_killed: [],
          processes_not_found: [],
          processes_failed: [here.id],
          processes_unknown: [],
        },
      ]);
      expect(lists).toBeLessThanOrEqual(5);
      expect((await liveIds(server)).has(here.id)).toBe(true);
      expect((await liveIds(other)).has(there.id)).toBe(true);
    });

    it('that resolves to another server before the first list restarts the request there', async () => {
      const there = await open(other);
      const node = nodeWith(undefined, { host: 'db.internal', tls: 'disabled' });
      await nodes.warm([node]);
      let refusal: unknown;
      const listed = await nodes.withConnection(node, Infinity, async (connection) => {
        if (leadsTo === '127.0.0.1') {
          leadsTo = '127.77.0.1';
          await nodes.probe(node, Infinity);
          refusal = await connection.transactions(Infinity).catch((error: unknown) => error);
        }
        return connection.list(Infinity);
      });
      expect(refusal).toMatchObject(moved);
      expect(listed.rows.map(({ id }) => id)).toContain(there.id.toString());
      await until('the connection is closed', () => main.open === 0);
    });

    it('that resolves to another server during a list fails that list', async () => {
      const node = nodeWith(undefined, { host: 'db.internal', tls: 'disabled' });
      await nodes.withConnection(node, Infinity, async (connection) => {
        await connection.list(Infinity);
        main.strike('to client', { kind: 'black hole' });
        const listed = expect(connection.list(Infinity)).rejects.toMatchObject(moved);
        leadsTo = '127.77.0.1';
        await untilMoved(node, connection);
        main.heal({ flush: true });
        await listed;
      });
    });

    it('that resolves to another server leaves a queued KILL unsent', async () => {
      const victims = [await open(server), ...(await openSessions(server, 3))];
      opened.push(...victims.slice(1));
      const node = nodeWith(undefined, { host: 'db.internal', tls: 'disabled' });
      const limits = { sendBy: Infinity, deadline: Infinity };
      await nodes.withConnection(node, Infinity, async (connection) => {
        const { rows } = await connection.list(Infinity);
        const sessions = victims.map(({ id }) => {
          const row = rows.find((one) => one.id === id.toString());
          return sessionOf(row as ProcessListRow & { id: string });
        });
        main.strike('to client', { kind: 'black hole' });
        const first = connection.list(Infinity).catch((error: unknown) => error);
        const [one, ...others] = sessions as [Session, ...Session[]];
        const kill = connection.kill(one, limits);
        const heard: unknown[] = [];
        const unsent = connection.killAhead(others, limits, (...told) => heard.push(told));
        leadsTo = '127.77.0.1';
        await untilMoved(node, connection);
        main.heal({ flush: true });
        const { outcome, trouble } = await kill;
        expect([outcome, trouble?.message]).toEqual(['not_sent', OTHER_SERVER]);
        expect([await unsent, heard]).toEqual([others, []]);
        await first;
      });
      const alive = await liveIds(server);
      expect(victims.filter(({ id }) => !alive.has(id))).toEqual([]);
    });

    it('that cannot be looked up keeps its connection', async () => {
      const node = nodeWith(undefined, { host: 'db.internal', tls: 'disabled' });
      let isSilent = false;
      const silent: LookupFunction = (name, options, done) => {
        if (isSilent) done(new Error('no answer'), []);
        else lookup(name, options, done);
      };
      nodes = new MysqlNodes(undefined, silent);
      const service = start(node);
      expect((await service.list()).status).toBe(200);
      isSilent = true;
      nodes.retain([node]);
      expect((await service.list()).status).toBe(200);
      expect(main.connections).toBe(1);
    });
  });
}
