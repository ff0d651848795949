import { describe, expect, it } from '@jest/globals';
import { transaction } from '../domain/lock-readings.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode } from '../support/ids.ts';
import { read, type Fields } from '../support/reads.ts';
import { createService } from '../support/service.ts';

function start() {
  const nodes = new FakeNodes();
  return { nodes, service: createService({ registry: [fakeNode], nodes }) };
}

const idsIn = (value: unknown): unknown[] => (value as readonly Fields[]).map(({ id }) => id);

describe('the summary of a node', () => {
  it('counts its user sessions and the waiting ones without a read of the lock tables', async () => {
    const { nodes, service } = start();
    const at = (host: string, time: string, changes = {}): bigint =>
      nodes.connect({ host, time, command: 'Query', ...changes });
    at('[fd00::a]:50001', '7', { db: null });
    const waiter = at('10.0.0.4:50001', '30', { state: 'updating' });
    at('10.0.0.4:50002', '29', { state: 'Waiting for table metadata lock' });
    const idle = at('10.0.0.4:50003', '9000', { command: 'Sleep' });
    nodes.connect({ user: 'system user', host: '', command: 'Connect', time: '99999' });
    const wait = transaction({ state: 'LOCK WAIT', seconds: 31n, waitSeconds: 30n });
    nodes.openTransactions.set(waiter, wait).set(idle, transaction({ seconds: 2n ** 60n }));
    // Session 77 is not a user session.
    nodes.openTransactions.set(77n, wait);

    const { status, body } = await read(service, 'summary');

    const group = { user: 'app', host: '10.0.0.4', db: 'shop', command: 'Query' };
    expect([status, body]).toEqual([
      200,
      {
        total: 4n,
        by_command: { Query: 3n, Sleep: 1n },
        groups: [
          { ...group, count: 2n, max_time: 30n },
          { ...group, command: 'Sleep', count: 1n, max_time: 9000n },
          { ...group, host: '[fd00::a]', db: '', count: 1n, max_time: 7n },
        ],
        longest: expect.any(Array) as unknown,
        blocked: 2n,
        transactions: { open: 2n, longest_seconds: 2n ** 60n },
      },
    ]);
    expect(idsIn(body['longest'])).toEqual([waiter, waiter + 1n, waiter - 1n, idle]);
    expect(Object.keys((body['longest'] as readonly Fields[])[0] ?? {})).toHaveLength(8);
    expect([nodes.lists, nodes.reads]).toEqual([1, ['transactions']]);
  });

  it('has at most 50 groups and counts the rest, and at most five sessions', async () => {
    const { nodes, service } = start();
    for (let n = 0; n < 120; n += 1) nodes.connect({ user: `app${n % 60}`, time: n.toString() });
    nodes.connect({ user: 'app59', time: '1' });
    const { body } = await read(service, 'summary');
    const groups = body['groups'] as readonly Fields[];
    expect(groups).toHaveLength(50);
    expect(groups[0]).toMatchObject({ user: 'app59', count: 3n, max_time: 119n });
    expect([body['total'], body['other']]).toEqual([121n, 20n]);
    const longest = (body['longest'] as readonly Fields[]).map(({ time }) => time);
    expect(longest).toEqual([119n, 118n, 117n, 116n, 115n]);
  });

  it('lacks the counts that need transactions, and has the reason', async () => {
    const { nodes, service } = start();
    nodes.connect({ state: 'Waiting for table metadata lock' });
    nodes.canShowRollbacks = false;
    const { body } = await read(service, 'summary', { 'X-Language': 'zh-cn' });
    expect(Object.keys(body)).toEqual(['total', 'by_command', 'groups', 'longest', 'sources']);
    expect(body['sources']).toEqual({ transaction: '节点不显示事务。' });
  });

  it('is that of an empty node', async () => {
    const { body } = await read(start().service, 'summary');
    expect(body).toEqual({
      ...{ total: 0n, by_command: {}, groups: [], longest: [], blocked: 0n },
      transactions: { open: 0n, longest_seconds: 0n },
    });
  });

  it('refuses a query', async () => {
    const { service } = start();
    expect((await read(service, 'summary?limit=1')).status).toBe(400);
  });
});
