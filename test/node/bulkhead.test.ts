import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Node } from '../../src/domain/node.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { fakeNode } from '../support/ids.ts';
import { nodeOn, servers } from '../support/server.ts';
import { until } from '../support/until.ts';

describe.each(servers)('nodes that never answer, beside a $flavour $version,', (server) => {
  const healthy = nodeOn(server);
  let silent: Server;
  let sockets: Socket[];
  let nodes: MysqlNodes;
  let waiting: Promise<string>[];

  beforeEach(async () => {
    [sockets, waiting] = [[], []];
    nodes = new MysqlNodes();
    silent = createServer((socket) => sockets.push(socket.on('error', () => undefined)));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    silent.close();
    await Promise.all(waiting);
    nodes.close();
  });

  function sick(nodeId: string): Node {
    const { port } = silent.address() as AddressInfo;
    const limits = { connectTimeoutMs: 20_000, listTimeoutMs: 20_000 };
    return { ...fakeNode, ...limits, nodeId, host: '127.0.0.1', port };
  }

  function ask(node: Node): Promise<string> {
    const deadline = performance.now() + 20_000;
    return nodes
      .withConnection(node, deadline, (connection) => connection.list(deadline))
      .then(
        () => 'listed',
        (error: unknown) => String((error as { code?: unknown }).code),
      );
  }

  it('hold at most half of all requests, so that those to other nodes pass', async () => {
    await ask(healthy);
    // The service does not know yet that these nodes are slow.
    atOneMoment(() => {
      for (const nodeId of ['one', 'other']) askOften(nodeId, 256);
    });
    await until('both are asked', () => sockets.length === 2);

    await until('one more is refused', () => isRefused('third'));
    expect(await ask(healthy)).toBe('listed');
  });

  it('hold at most a quarter of all requests each', async () => {
    askOften('one', 256);
    await until('it counts as slow', () => nodes.counts().requests.at_slow_node === 256);
    expect(await isRefused('one')).toBe(true);

    askOften('other', 1);
    await until('both count as slow', () => nodes.counts().requests.at_slow_node === 257);
    expect(await isRefused('other')).toBe(false);
  });

  it('leave room for each other even if one had more requests before it was slow', async () => {
    atOneMoment(() => {
      askOften('one', 512);
      askOften('other', 1);
    });
    await until('both count as slow', () => nodes.counts().requests.at_slow_node === 513);
    expect(await isRefused('one')).toBe(true);
    expect(await isRefused('other')).toBe(false);
  });

  it('do not include a node that answers while many requests wait for sessions to end', async () => {
    let leave = (): void => undefined;
    const left = new Promise<void>((resolve) => (leave = resolve));
    const waits = Array.from({ length: 300 }, () =>
      nodes.withConnection(healthy, performance.now() + 20_000, () => left),
    );
    const all = Promise.allSettled(waits);
    expect(await ask(healthy)).toBe('listed');
    leave();
    await all;
  });

  /** Stops the clock meanwhile: on a busy machine a node could count as slow before all requests are sent. */
  function atOneMoment(act: () => void): void {
    const clock = jest.spyOn(performance, 'now').mockReturnValue(performance.now());
    act();
    clock.mockRestore();
  }

  function askOften(nodeId: string, times: number): void {
    for (let count = 0; count < times; count += 1) waiting.push(ask(sick(nodeId)));
  }

  async function isRefused(nodeId: string): Promise<boolean> {
    const more = ask(sick(nodeId));
    waiting.push(more);
    return (await Promise.race([more, setImmediate('waits')])) === 'overloaded';
  }
});
