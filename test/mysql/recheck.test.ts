import type { LookupFunction } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Node } from '../../src/domain/node.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { ordinary, scriptedNode } from '../support/scripted-node.ts';
import { until } from '../support/until.ts';

describe('while no name server answers for some names,', () => {
  const names = ['sick-1', 'sick-2', 'sick-3'];
  let nodes: MysqlNodes;
  let registry: Node[];
  let good: Node;
  let pings = 0;
  /** The names of lookups without an answer. */
  let hanging: string[] = [];
  let isSick = false;

  const lookup: LookupFunction = (name, options, done) => {
    if (isSick && name.startsWith('sick')) hanging.push(name);
    else if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
    else done(null, '127.0.0.1', 4);
  };

  beforeEach(async () => {
    [pings, hanging, isSick] = [0, [], false];
    const script = ordinary((sql, connection) => {
      if (sql === 'DO 0') pings += 1;
      connection.writeOk();
    });
    const scripted = { ...(await scriptedNode(script)), listTimeoutMs: 1e9 };
    good = { ...scripted, host: 'good', nodeId: 'good' };
    registry = [...names.map((host) => ({ ...scripted, host, nodeId: host })), good];
    nodes = new MysqlNodes(undefined, lookup);
    nodes.retain(registry);
    jest.useFakeTimers({
      doNotFake: ['nextTick', 'setImmediate', 'setInterval', 'performance', 'queueMicrotask'],
    });
    await nodes.warm(registry.slice(0, -1));
    isSick = true;
  });
  afterEach(() => {
    nodes.close();
    jest.useRealTimers();
  });

  it('at most one of those names is looked up at a time, and each open connection is still pinged', async () => {
    for (let reloads = 0; reloads < 3; reloads += 1) nodes.retain(registry);
    await until('every connection is pinged three times', () => {
      jest.advanceTimersByTime(1000);
      return pings >= 9;
    });
    expect(hanging).toHaveLength(1);
    expect(nodes.counts().connections).toMatchObject({ idle: 3 });
  });

  it('another node can be reached', async () => {
    nodes.retain(registry);
    await nodes.withConnection(good, Infinity, async (connection) => {
      expect((await connection.list(Infinity)).rows).toHaveLength(3);
    });
    expect(hanging).toHaveLength(1);
  });
});
