import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import type { Audit } from '../../src/domain/termination.ts';
import { metadataLocks, readingOf, rowWaits, transaction } from '../domain/lock-readings.ts';
import { FakeNodes } from '../support/fake-nodes.ts';
import { fakeNode } from '../support/ids.ts';
import { nodePath, read } from '../support/reads.ts';
import { createService, TOKEN } from '../support/service.ts';

function start() {
  const nodes = new FakeNodes();
  const audited: unknown[] = [];
  const audit: Audit = {
    intend: (intent) => Promise.resolve(void audited.push(intent)),
    conclude: (conclusion) => void audited.push(conclusion),
    deny: (denial) => void audited.push(denial),
  };
  const service = createService({ registry: [fakeNode], nodes, audit });
  return { nodes, service, audited };
}

const AVAILABLE = {
  transaction: 'available',
  connection_attributes: 'available',
  row: 'available',
  metadata: 'available',
};

describe('one session', () => {
  it('has its fields, its transaction, its attributes and the waits that concern it', async () => {
    const { nodes, service } = start();
    for (const id of ['21', '22', '23', '24', '25']) nodes.connect({ id, command: 'Query' });
    nodes.connect({ id: '5', user: 'system user', host: '', command: 'Connect' });
    nodes.openTransactions.set(22n, transaction({ state: 'LOCK WAIT', waitSeconds: 3n }));
    nodes.description = { attributes: new Map([['program_name', 'checkout']]) };
    nodes.lockReading = readingOf({
      rowWaits: rowWaits('22>21 22>5 23>22 25>24'),
      metadataLocks: metadataLocks('22:SHARED_READ 24?EXCLUSIVE'),
    });

    const { status, body } = await read(service, 'processes/22');

    const lock = { seconds: 3n, db: 'shop', table: 't', index: 'PRIMARY', mode: 'X', data: '1' };
    expect([status, body]).toEqual([
      200,
      {
        id: 22n,
        user: 'app',
        host: '10.0.0.4:50022',
        db: 'shop',
        command: 'Query',
        time: 12n,
        state: '',
        info: '',
        transaction: { state: 'LOCK WAIT', seconds: 10n, rows_locked: 1n, rows_modified: 0n },
        connection_attributes: { program_name: 'checkout' },
        waits_for: [
          { id: 22n, waits_for: null, kind: 'row', ...lock },
          { id: 22n, waits_for: 21n, kind: 'row', ...lock },
        ],
        blocks: [
          { id: 23n, waits_for: 22n, kind: 'row', ...lock },
          {
            ...{ id: 24n, waits_for: 22n, kind: 'metadata' },
            ...{ db: 'shop', table: 't', mode: 'EXCLUSIVE' },
          },
        ],
        sources: AVAILABLE,
      },
    ]);
  });

  it('has all its waits, also beyond the first thousand of the node', async () => {
    const { nodes, service } = start();
    for (let id = 1; id <= 1203; id += 1) nodes.connect({ id: id.toString() });
    const crowd = Array.from({ length: 1201 }, (_, index) => `${index + 2}>1`).join(' ');
    nodes.lockReading = readingOf({ rowWaits: rowWaits(`${crowd} 1203>1202`) });
    const last = (await read(service, 'processes/1202')).body;
    expect([last['waits_for'], last['blocks']]).toMatchObject([
      [{ id: 1202n, waits_for: 1n }],
      [{ id: 1203n, waits_for: 1202n }],
    ]);
    expect(last).not.toHaveProperty('truncated');
    const root = (await read(service, 'processes/1')).body;
    expect([(root['blocks'] as unknown[]).length, root['truncated']]).toEqual([1000, true]);
  });

  it('hides the trouble of a source for which only an internal thread waits', async () => {
    const { nodes, service } = start();
    const id = nodes.connect();
    const why = { 'en-us': 'Not shown.', 'zh-cn': '不显示。' };
    const state = 'Waiting for table metadata lock';
    nodes.connect({ id: '5', user: 'system user', host: '', command: 'Connect', state });
    nodes.lockReading = readingOf({
      transactions: new Map([[5n, transaction({ state: 'LOCK WAIT', waitSeconds: 3n })]]),
      sources: { row: why, metadata: why },
    });
    const { body } = await read(service, `processes/${id}`);
    expect(body['sources']).toMatchObject({ row: 'available', metadata: 'available' });
  });

  it('names each missing part with the reason', async () => {
    const { nodes, service } = start();
    const id = nodes.connect({ state: 'Waiting for table metadata lock' });
    const why = { 'en-us': 'Not shown.', 'zh-cn': '不显示。' };
    nodes.description = { attributes: why, isInfoTruncated: true };
    nodes.canShowRollbacks = false;
    nodes.lockReading = readingOf({ sources: { row: why, metadata: why } });
    const { body } = await read(service, `processes/${id}`, { 'X-Language': 'zh-cn' });
    expect(body).toMatchObject({ info_truncated: true, waits_for: [], blocks: [] });
    expect(body).not.toHaveProperty('transaction');
    expect(body).not.toHaveProperty('connection_attributes');
    expect(body['sources']).toEqual({
      ...{ connection_attributes: '不显示。', row: '不显示。', metadata: '不显示。' },
      transaction: '节点不显示事务。',
    });
  });

  it('keeps a statement out of the log and the audit', async () => {
    const { nodes, service, audited } = start();
    const id = nodes.connect({ command: 'Query', info: "SELECT 'of nobody else'" });
    const { body } = await read(service, `processes/${id}`);
    expect(body['info']).toBe("SELECT 'of nobody else'");
    expect(JSON.stringify([service.events, audited])).not.toContain('of nobody else');
  });
});

describe('an id that is no user session', () => {
  it.each([
    ['an internal thread', '5'],
    ['nobody', '6'],
    ['the control connection', '1000'],
    ['the highest id', '18446744073709551615'],
  ])('is not found, after the same one read: %s', async (_, id) => {
    const { nodes, service } = start();
    nodes.connect({ id: '5', user: 'system user', host: null, info: 'secret' });
    const { status, body } = await read(service, `processes/${id}`);
    expect([status, body]).toEqual([
      404,
      {
        error_code: 'DBS.290013',
        error_msg:
          'Resource not found. The node has no user session with this id. List its sessions again.',
      },
    ]);
    expect([nodes.lists, nodes.reads]).toEqual([1, []]);
  });

  it('is not found either if the session leaves after the list', async () => {
    const { nodes, service } = start();
    const id = nodes.connect();
    nodes.beforeDescription = () => {
      nodes.disconnect(id);
    };
    expect((await read(service, `processes/${id}`)).status).toBe(404);
  });

  it.each(['0', '-1', '01', '1.0', '1e3', '0x1', 'abc', '%31%00', '18446744073709551616', '９'])(
    'is refused if it is no id: %s',
    async (id) => {
      const { nodes, service } = start();
      const { status, body } = await read(service, `processes/${encodeURI(id)}`);
      expect([status, body['error_code'], nodes.connections]).toEqual([400, 'DBS.200001', 0]);
    },
  );

  it('is refused with a query, and by other methods', async () => {
    const { nodes, service } = start();
    const id = nodes.connect();
    expect((await read(service, `processes/${id}?with=transaction`)).status).toBe(400);
    const res = await request(service.app)
      .delete(nodePath(`processes/${id}`))
      .set('X-Auth-Token', TOKEN);
    expect([res.status, res.headers['allow'], nodes.kills]).toEqual([405, 'GET, HEAD', []]);
  });
});
