import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SessionControlClient } from '../../src/client/index.ts';
import { metadataLocks, readingOf, rowWaits, transaction } from '../domain/lock-readings.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey } from '../support/ids.ts';
import { answer, ScriptedApi } from '../support/scripted-api.ts';
import { createService, TOKEN } from '../support/service.ts';

let nodes: FakeNodes;
let server: Server;
let client: SessionControlClient;
beforeEach(async () => {
  nodes = new FakeNodes();
  server = createServer(createService({ registry: [fakeNode], nodes }).app);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  client = new SessionControlClient({
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { token: TOKEN },
  });
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const session = { user: 'app', db: 'shop', command: 'Sleep', time: 12, state: '', info: '' };

describe('the client library', () => {
  it('reads blockers and waits, with exact ids', async () => {
    const id = 9_007_199_254_740_993n;
    nodes.connect({ id: id.toString(), host: '10.0.0.4:51234' });
    nodes.connect({ id: '23' });
    nodes.connect({ id: '7', user: 'system user', host: '', command: 'Connect' });
    const waiting = transaction({ state: 'LOCK WAIT', waitSeconds: 3n });
    nodes.lockReading = readingOf({
      rowWaits: rowWaits(`23>${id} 23>7`),
      transactions: new Map([
        [id, transaction({ rowsModified: 3n })],
        [23n, waiting],
      ]),
    });
    expect(await client.blockers(nodeKey)).toEqual({
      blockers: [
        {
          id,
          session: { id, host: '10.0.0.4:51234', ...session },
          transaction: { state: 'RUNNING', seconds: 10, rowsLocked: 1n, rowsModified: 3n },
          ...{ isPrepared: false, isRoot: true, waiters: 1, directWaiters: 1, canBeKilled: true },
        },
        {
          ...{ id: undefined, session: undefined, transaction: undefined },
          ...{ isPrepared: false, isRoot: true, waiters: 1, directWaiters: 1, canBeKilled: false },
        },
      ],
      waits: [undefined, id].map((waitsFor) => ({
        ...{ id: 23n, waitsFor, kind: 'row', seconds: 3, db: 'shop', table: 't' },
        ...{ index: 'PRIMARY', mode: 'X', data: '1', name: undefined },
      })),
      isTruncated: false,
      sources: { row: 'available', metadata: 'available' },
    });
  });

  it('reads the cause of a lock wait', async () => {
    nodes.connect({ id: '22', host: '10.0.0.4:51234', command: 'Query', info: 'SELECT 1' });
    const state = 'Waiting for table metadata lock';
    nodes.connect({ id: '23', command: 'Query', state, time: '29', info: 'ALTER TABLE t' });
    nodes.lockReading = readingOf({
      metadataLocks: metadataLocks('22:SHARED_READ 23?EXCLUSIVE'),
      transactions: new Map([[22n, transaction()]]),
      threadIds: new Map([[22n, 53n]]),
    });
    expect(await client.lockWait(nodeKey, 22n)).toBeUndefined();
    expect(await client.lockWait(nodeKey, 23n)).toEqual({
      id: 23n,
      info: 'ALTER TABLE t',
      lock: {
        ...{ seconds: 29, db: 'shop', table: 't' },
        ...{ index: '', mode: 'EXCLUSIVE', data: '' },
      },
      root: {
        id: 22n,
        host: '10.0.0.4:51234',
        command: 'Query',
        info: 'SELECT 1',
        transaction: { state: 'RUNNING', seconds: 10, rowsLocked: 1n, rowsModified: 0n },
        threadId: 53n,
      },
    });
    await expect(client.lockWait(nodeKey, 4711n)).rejects.toMatchObject({
      ...{ status: 404, code: 'DBS.290013' },
    });
  });

  it('rejects a response that does not come from the service', async () => {
    const api = new ScriptedApi();
    await api.start();
    const other = new SessionControlClient({
      endpoint: api.endpoint,
      credentials: { token: TOKEN },
    });
    const wrong = { kind: 'malformed' };
    api.acts = [answer(200, '{"blockers":[{"id":1}],"waits":[],"sources":{}}')];
    await expect(other.blockers(nodeKey)).rejects.toMatchObject(wrong);
    api.acts = [answer(200, '{"abnormal_root_cause":{}}')];
    await expect(other.lockWait(nodeKey, 1n)).rejects.toMatchObject(wrong);
    api.stop();
  });
});
