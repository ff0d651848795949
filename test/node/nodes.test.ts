import { afterAll, afterEach, beforeEach, describe } from '@jest/globals';
import type { Node } from '../../src/domain/node.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode } from '../support/ids.ts';
import { nodesContract } from '../support/nodes-contract.ts';
import { ScriptedTidb } from '../support/scripted-tidb.ts';
import { asRoot, liveIds, nodeOn, servers } from '../support/server.ts';

describe.each(servers)('nodes over $flavour $version', (server) => {
  const clients = new Map<bigint, ClientSession>();
  const nodes = new MysqlNodes();

  afterAll(() => {
    nodes.close();
  });

  afterEach(() => {
    for (const client of clients.values()) client.close();
    clients.clear();
  });

  async function open(account = server.app): Promise<bigint> {
    const client = await openSession(server, account);
    clients.set(client.id, client);
    return client.id;
  }

  nodesContract(() => ({
    nodes,
    node: nodeOn(server),
    openClient: () => open(),
    // root has SYSTEM_USER.
    ...(server.flavour === 'mysql' && { openProtectedClient: () => open(server.root) }),
    closeClient: async (id) => clients.get(id)?.connection.end(),
    isAlive: async (id) => (await liveIds(server)).has(id),
    endControlConnection: async (id) => {
      await asRoot(server, (root) => root.query(`KILL CONNECTION ${id}`));
    },
    // Nothing listens on the port of the discard service.
    unreachable: nodeOn(server, { host: '127.0.0.1', port: 9 }),
    makeUnreachable: () => undefined,
  }));
});

describe('the fake node', () => {
  let fake = new FakeNodes();
  afterEach(() => {
    fake = new FakeNodes();
  });
  nodesContract(() => ({
    nodes: fake,
    node: fakeNode,
    openClient: () => Promise.resolve(fake.connect()),
    openProtectedClient() {
      const id = fake.connect();
      fake.protected.add(id);
      return Promise.resolve(id);
    },
    closeClient(id) {
      fake.disconnect(id);
      return Promise.resolve();
    },
    isAlive: (id) => Promise.resolve(fake.has(id)),
    endControlConnection(id) {
      fake.disconnect(id);
      return Promise.resolve();
    },
    unreachable: fakeNode,
    makeUnreachable: () => (fake.isReachable = false),
  }));
});

describe('a scripted TiDB', () => {
  let [tidb, nodes] = [new ScriptedTidb(), new MysqlNodes()];
  let node: Node;
  beforeEach(async () => {
    [tidb, nodes] = [new ScriptedTidb(), new MysqlNodes()];
    node = await tidb.start();
  });
  afterEach(() => {
    nodes.close();
  });

  nodesContract(() => ({
    nodes,
    node,
    openClient: () => Promise.resolve(tidb.connect()),
    closeClient(id) {
      tidb.disconnect(id);
      return Promise.resolve();
    },
    isAlive: (id) => Promise.resolve(tidb.has(id)),
    endControlConnection(id) {
      tidb.disconnect(id);
      return Promise.resolve();
    },
    unreachable: { ...node, port: 9 },
    makeUnreachable: () => undefined,
    acceptsAnyKill: true,
  }));
});
