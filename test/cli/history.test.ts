import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { History, HistoryFilter, KilledSession } from '../../src/domain/kill-history.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode, nodeKey } from '../support/ids.ts';
import { createService, TOKEN } from '../support/service.ts';
import { Home } from './home.ts';

const { projectId, instanceId, nodeId } = nodeKey;
const SECOND = '28663926eacb443d98dc20f8620f28f2no07';
const OTHER_INSTANCE = 'b23fb62bd61e4e9e9636fd2225f395bein07';
const HOUR = 3_600_000;
const NOW = Date.now();
const REPLICA = 'sessionctl: kills by other replicas of the service can be missing\n';

const kill = (id: number, ageMs: number, more: Partial<KilledSession> = {}): KilledSession => ({
  ...{ instanceId, nodeId, id: BigInt(id), user: 'app', host: '10.0.0.4:51234', db: 'shop' },
  ...{ command: 'Query', time: 312n, state: 'Sending data', info: '' },
  killTime: NOW - ageMs,
  ...{ outcome: 'killed', scope: 'session', caller: 'ops', reason: 'runaway report' },
  ...{ requestId: `request-${id}`, taskId: undefined },
  ...more,
});

describe('sessionctl history', () => {
  let server: Server;
  let home: Home;
  let kills: KilledSession[];
  let filters: HistoryFilter[];
  let result: Partial<History>;
  beforeEach(async () => {
    [kills, filters, result] = [[], [], {}];
    const history = {
      read: (filter: HistoryFilter): Promise<History> => {
        filters.push(filter);
        const { from, until } = filter;
        return Promise.resolve({
          kills: kills.filter(({ killTime, ...kill }) => {
            const isOfNode = filter.nodeId === undefined || filter.nodeId === kill.nodeId;
            return isOfNode && from <= killTime && killTime < until;
          }),
          readFrom: undefined,
          isReplicaOnly: false,
          ...result,
        });
      },
    };
    const registry = [
      { ...fakeNode, name: 'orders-primary' },
      { ...fakeNode, nodeId: SECOND, instanceId: OTHER_INSTANCE, name: 'billing' },
    ];
    const { app } = createService({ registry, nodes: new FakeNodes(), history });
    server = createServer(app);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    home = new Home();
    home.environment = {
      SESSIONCTL_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      SESSIONCTL_PROJECT: projectId,
      SESSIONCTL_INSTANCE: instanceId,
      SESSIONCTL_TOKEN: TOKEN,
    };
  });
  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  it('shows the kills of the last day on the whole instance', async () => {
    kills = [
      kill(7, 1000),
      kill(6, 2000, { outcome: 'unknown', user: 'batch\u001b[31m', reason: undefined }),
      kill(5, 3000, { scope: 'statement' }),
      kill(4, 25 * HOUR),
    ];
    const { code, output, messages } = await home.run(['history']);
    const at = (index: number): string =>
      new Date(kills[index]?.killTime ?? 0).toLocaleString('sv');
    expect(output.split('\n')).toEqual([
      'KILLED               ID  USER           HOST            DB    COMMAND   TIME  OUTCOME  CALLER  REASON',
      `${at(0)}   7  app            10.0.0.4:51234  shop  Query    5m12s  killed   ops     runaway report`,
      `${at(1)}   6  batch\\x1b[31m  10.0.0.4:51234  shop  Query    5m12s  unknown  ops`,
      `${at(2)}   5  app            10.0.0.4:51234  shop  Query    5m12s  stopped  ops     runaway report`,
      '',
    ]);
    expect([code, messages]).toEqual([0, '3 kills.\n']);
  });

  it('reads all pages', async () => {
    kills = Array.from({ length: 250 }, (_, index) => kill(1000 - index, 1000 + index));
    const { output } = await home.run(['history', '-o', 'json']);
    const ids = (JSON.parse(output) as { session_id: number }[]).map(
      ({ session_id }) => session_id,
    );
    expect(ids).toEqual(kills.map(({ id }) => Number(id)));
  });

  it('has JSON and CSV for programs', async () => {
    kills = [kill(7, 1000, { reason: '=1+1', time: 5n })];
    const killTime = new Date(kills[0]?.killTime ?? 0).toISOString();
    const json = await home.run(['history', '-o', 'json']);
    expect(JSON.parse(json.output)).toEqual([
      {
        kill_time: killTime,
        ...{ instance_id: instanceId, node_id: nodeId, session_id: 7, user: 'app' },
        ...{ host: '10.0.0.4:51234', db: 'shop', command: 'Query', time: 5 },
        ...{ state: 'Sending data', info: '', outcome: 'killed', scope: 'session' },
        ...{ caller: 'ops', reason: '=1+1', request_id: 'request-7', task_id: null },
      },
    ]);
    const csv = await home.run(['history', '-o', 'csv']);
    expect(csv.output).toBe(
      'kill_time,instance_id,node_id,session_id,user,host,db,command,time,state,info,outcome,scope,caller,reason,request_id,task_id\n' +
        `${killTime},${instanceId},${nodeId},7,app,10.0.0.4:51234,shop,Query,5,Sending data,,killed,session,ops,'=1+1,request-7,\n`,
    );
  });

  it('sends the filters to the service', async () => {
    const before = Date.now();
    await home.run(['history', '--since', '2h', '--user', 'a b', '--caller', 'bob+1']);
    expect(filters).toMatchObject([
      { projectId, instanceId, nodeId: undefined, user: 'a b', caller: 'bob+1' },
    ]);
    expect(filters[0]?.from).toBeGreaterThanOrEqual(before - 2 * HOUR);
    expect(filters[0]?.from).toBeLessThanOrEqual(Date.now() - 2 * HOUR);
    await home.run(['history', '--since', '2026-11-30T03:00Z', '--until', '2026-11-30 04:00:30Z']);
    expect(filters[1]).toMatchObject({
      from: Date.parse('2026-11-30T03:00Z'),
      until: Date.parse('2026-11-30T04:00:30Z'),
    });
  });

  it('accepts the name or the id of a node, and finds the instance by the name', async () => {
    kills = [kill(7, 1000)];
    home.environment = { ...home.environment, SESSIONCTL_INSTANCE: '' };
    for (const node of ['orders-primary', nodeId]) {
      expect((await home.run(['history', '--node', node])).messages).toBe('1 kill.\n');
    }
    await home.run(['history', '--node', 'billing', '--node', nodeId]);
    expect(filters.map((filter) => [filter.instanceId, filter.nodeId])).toEqual([
      [instanceId, nodeId],
      [instanceId, nodeId],
      [OTHER_INSTANCE, SECOND],
      [instanceId, nodeId],
    ]);
    expect(await home.run(['history', '--node', 'nobody'])).toEqual({
      code: 64,
      output: '',
      messages:
        'sessionctl: The project has no node nobody. If the node has left the project, give its id and --instance.\n',
    });
    expect((await home.run(['history'])).messages).toBe(
      'sessionctl: The instance is missing. Give --instance, or --node with a name.\n',
    );
  });

  it('reports that kills by other replicas can be missing', async () => {
    result = { isReplicaOnly: true };
    expect(await home.run(['history'])).toEqual({
      code: 0,
      output: '',
      messages: `0 kills.\n${REPLICA}`,
    });
  });

  it('continues where a limit ended the read, and shows each kill once', async () => {
    const all = Array.from({ length: 30 }, (_, index) => kill(1000 - index, 1000 + 10 * index));
    // At most ten kills at a time, and none in the middle.
    kills = all;
    const times = all.map(({ killTime }) => killTime);
    Object.defineProperty(result, 'readFrom', {
      enumerable: true,
      get: () => {
        const until = filters.at(-1)?.until ?? Infinity;
        const rest = times.filter((time) => time < until);
        return rest.length <= 10 ? undefined : rest[9];
      },
    });
    Object.defineProperty(result, 'kills', {
      enumerable: true,
      get: () => all.filter(({ killTime }) => killTime < (filters.at(-1)?.until ?? 0)).slice(0, 10),
    });
    const { output, code } = await home.run(['history', '-o', 'json']);
    expect(code).toBe(0);
    expect((JSON.parse(output) as { session_id: number }[]).map((one) => one.session_id)).toEqual(
      all.map(({ id }) => Number(id)),
    );
  });

  it('has the exit code 4 if the service cannot read all of its records', async () => {
    kills = [kill(7, 1000)];
    result = { readFrom: -Infinity };
    const { code, messages } = await home.run(['history']);
    expect([code, messages]).toEqual([
      4,
      '1 kill.\nsessionctl: the service could not read all of its records: kills can be missing\n',
    ]);
  });

  it.each([
    [['--since', 'yesterday'], '--since yesterday is no time.'],
    [['--until', '2026-13-01'], '--until 2026-13-01 is no time.'],
    [['--since', '1h', '--until', '2h'], '--since must be earlier than --until.'],
    [['--since', '0s'], '--since must be earlier than --until.'],
    [['-o', 'yaml'], "argument 'yaml' is invalid"],
  ])('refuses %j', async (words, sentence) => {
    const { code, messages } = await home.run(['history', ...words]);
    expect([code, messages]).toEqual([64, expect.stringContaining(sentence)]);
    expect(filters).toEqual([]);
  });
});
