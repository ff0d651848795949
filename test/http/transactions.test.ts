import { describe, expect, it } from '@jest/globals';
import { ServiceError } from '../../src/errors.ts';
import { transaction } from '../domain/lock-readings.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode } from '../support/ids.ts';
import { read, type Fields } from '../support/reads.ts';
import { createService } from '../support/service.ts';

function start() {
  const nodes = new FakeNodes();
  return { nodes, service: createService({ registry: [fakeNode], nodes }) };
}

function sessionsOf(body: Fields): readonly Fields[] {
  return body['processes'] as readonly Fields[];
}

describe('the list with transactions', () => {
  it('has for each session its transaction, or null', async () => {
    const { nodes, service } = start();
    const [busy, idle] = [nodes.connect(), nodes.connect()];
    const big = 2n ** 60n + 1n;
    nodes.openTransactions.set(
      busy,
      transaction({ state: 'LOCK WAIT', seconds: 312n, rowsLocked: 4n, rowsModified: big }),
    );

    const { status, body } = await read(service, 'processes?with=transaction');

    expect([status, Object.keys(body)]).toEqual([200, ['processes', 'total_count']]);
    expect(sessionsOf(body).map((session) => [session['id'], session['transaction']])).toEqual([
      [busy, { state: 'LOCK WAIT', seconds: 312n, rows_locked: 4n, rows_modified: big }],
      [idle, null],
    ]);
  });

  it('is the published list if the request does not ask for transactions', async () => {
    const { nodes, service } = start();
    nodes.openTransactions.set(nodes.connect(), transaction());
    const { body } = await read(service, 'processes');
    expect(Object.keys(body)).toEqual(['processes', 'total_count']);
    expect(Object.keys(sessionsOf(body)[0] ?? {})).toEqual(
      'id user host db command time state info'.split(' '),
    );
  });

  it.each([
    ['en-us', 'The node does not show transactions.'],
    ['zh-cn', '节点不显示事务。'],
  ])(
    'lacks the field in every session if the node does not show them (%s)',
    async (language, why) => {
      const { nodes, service } = start();
      nodes.connect();
      nodes.canShowRollbacks = false;
      const headers = { 'X-Language': language };
      const { status, body } = await read(service, 'processes?with=transaction', headers);
      expect([status, body['sources']]).toEqual([200, { transaction: why }]);
      expect(sessionsOf(body)[0]).not.toHaveProperty('transaction');
    },
  );

  it('keeps the list if the read of the transactions fails', async () => {
    const { nodes, service } = start();
    const id = nodes.connect();
    nodes.beforeTransactions = () => {
      const [en, zh] = ['The node did not answer.', '节点没有响应。'];
      throw new ServiceError('node_unavailable', { 'en-us': en, 'zh-cn': zh });
    };
    const { body } = await read(service, 'processes?with=transaction');
    expect(body).toMatchObject({
      processes: [{ id }],
      sources: { transaction: 'The node did not answer.' },
    });
  });

  it('gives later pages the transactions of the first page, and never a list without them', async () => {
    const { nodes, service } = start();
    const ids = [nodes.connect(), nodes.connect(), nodes.connect()];
    for (const id of ids) nodes.openTransactions.set(id, transaction());
    const page = async (query: string): Promise<unknown[]> =>
      sessionsOf((await read(service, `processes?${query}`)).body).map((one) => one['transaction']);
    const shown = { state: 'RUNNING', seconds: 10n, rows_locked: 1n, rows_modified: 0n };

    await page('limit=1');
    expect(await page('limit=1&with=transaction')).toEqual([shown]);
    nodes.openTransactions.clear();
    expect(await page('limit=1&offset=1&with=transaction')).toEqual([shown]);
    expect(await page('with=transaction&offset=2')).toEqual([shown]);
    expect([await page('limit=1&offset=1'), nodes.lists]).toEqual([[undefined], 2]);
    expect(await page('limit=1&with=transaction')).toEqual([null]);
  });

  it.each([
    'with=',
    'with=locks',
    'with=Transaction',
    'with=transaction&with=transaction',
    'With=x',
  ])('refuses %s', async (query) => {
    const { nodes, service } = start();
    const { status, body } = await read(service, `processes?${query}`);
    expect([status, body['error_code'], nodes.lists]).toEqual([400, 'DBS.200001', 0]);
  });
});
