import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SessionControlClient } from '../../src/client/index.ts';
import type { Node } from '../../src/domain/node.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey } from '../support/ids.ts';
import { answer, cutOff, ScriptedApi } from '../support/scripted-api.ts';
import { createService, TOKEN } from '../support/service.ts';

const { projectId, instanceId } = nodeKey;
const CALLER = {
  user: 'ops',
  actions: ['listProcesses', 'deleteProcesses', 'get'],
  isReasonRequired: false,
  isAudited: false,
  requestsPerMinute: 1_000_000,
};

function nodeId(index: number): string {
  return `${index.toString().padStart(32, '0')}no07`;
}

function entry(index: number) {
  return { instanceId, nodeId: nodeId(index), name: index % 2 === 0 ? undefined : `n${index}` };
}

describe('the nodes of a project', () => {
  let server: Server;
  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  /** A service that has this many nodes, and a client of it. */
  async function start(count: number, token = TOKEN): Promise<SessionControlClient> {
    const registry = Array.from({ length: count }, (_, index): Node => {
      const { name, ...ids } = entry(index);
      return { ...fakeNode, ...ids, name };
    });
    server = createServer(createService({ registry, nodes: new FakeNodes() }).app);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    return new SessionControlClient({
      endpoint: `http://127.0.0.1:${port}`,
      credentials: { token },
    });
  }

  it.each([0, 1, 100, 101, 250])(
    'are joined if there are %d, with the actions of the caller',
    async (count) => {
      const client = await start(count);
      const progress: [number, number][] = [];
      const result = await client.nodes(projectId, {
        onProgress: (read, total) => progress.push([read, total]),
      });
      expect(result).toEqual({
        nodes: Array.from({ length: count }, (_, index) => entry(index)),
        caller: CALLER,
      });
      expect(progress.at(-1)).toEqual([count, count]);
    },
  );

  it('come in pages', async () => {
    const client = await start(3);
    expect(await client.nodesPage(projectId, { offset: 1, limit: 1 })).toEqual({
      nodes: [entry(1)],
      total: 3,
      caller: CALLER,
    });
  });

  it('reject if the service refuses the caller', async () => {
    const client = await start(1, 'wrong');
    await expect(client.nodes(projectId)).rejects.toMatchObject({ kind: 'denied', status: 401 });
  });
});

describe('a response about nodes', () => {
  let api: ScriptedApi;
  let client: SessionControlClient;
  beforeEach(async () => {
    api = new ScriptedApi();
    await api.start();
    client = new SessionControlClient({ endpoint: api.endpoint, credentials: { token: 'tok' } });
  });
  afterEach(() => {
    api.stop();
  });

  /** Answers with the nodes that have these indexes, as a page of a list that holds `total` of them. */
  function page(indexes: readonly number[], total: number) {
    const nodes = indexes.map((index) => ({ instance_id: instanceId, node_id: nodeId(index) }));
    const rest = { reason_required: true, audit: true, requests_per_minute: 600 };
    const caller = { user: 'ops', actions: ['get'] };
    return answer(200, JSON.stringify({ nodes, total_count: total, caller, ...rest }));
  }

  const range = (from: number, to: number): number[] =>
    Array.from({ length: to - from }, (_, index) => from + index);

  it('is requested again if the connection breaks', async () => {
    api.acts = [cutOff, page([1], 1)];
    const { nodes, caller } = await client.nodes(projectId);
    expect(nodes).toEqual([{ instanceId, nodeId: nodeId(1), name: undefined }]);
    expect(caller).toMatchObject({ isReasonRequired: true, isAudited: true });
    expect(api.came[1]?.url).toBe(`/v3/${projectId}/nodes?limit=100&offset=0`);
  });

  it('misses no node that stays while a reload removes earlier ones', async () => {
    const [before, after] = [range(0, 150), range(60, 150)];
    api.acts = [page(before.slice(0, 100), 150), page([], 90), page(after.slice(49), 90)];
    api.acts.push(page(after, 90));
    const { nodes } = await client.nodes(projectId);
    const ids = nodes.map((node) => node.nodeId);
    expect(after.map(nodeId).filter((id) => !ids.includes(id))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each([
    '<html>',
    '{"nodes":[],"total_count":0}',
    '{"nodes":[{"node_id":"n"}],"total_count":1,"caller":{"user":"u","actions":[]},"reason_required":false,"audit":true,"requests_per_minute":1}',
    '{"nodes":[],"total_count":0,"caller":{"user":"u","actions":[1]},"reason_required":false,"audit":true,"requests_per_minute":1}',
    '{"nodes":[],"total_count":0,"caller":{"user":"u","actions":[]},"reason_required":0,"audit":true,"requests_per_minute":1}',
  ])('is malformed if it is %s', async (text) => {
    api.acts = [answer(200, text)];
    await expect(client.nodes(projectId)).rejects.toMatchObject({ kind: 'malformed' });
  });
});
