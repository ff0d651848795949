import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { LockStage } from '../support/lock-scenes.ts';
import { read, type Fields } from '../support/reads.ts';
import { nodeOn, servers } from '../support/server.ts';
import { createService } from '../support/service.ts';
import { until } from '../support/until.ts';

describe.each(servers)('what $flavour $version shows of sessions', (server) => {
  const nodes = new MysqlNodes();
  const service = createService({ registry: [nodeOn(server)], nodes });
  const stage = new LockStage(server);
  beforeAll(() => stage.prepare());
  afterAll(async () => {
    await stage.close();
    nodes.close();
  });

  async function sessionOf(id: bigint, query = 'with=transaction'): Promise<Fields | undefined> {
    for (let offset = 0; ; offset += 100) {
      const { body } = await read(service, `processes?${query}&offset=${offset}`);
      expect(body).not.toHaveProperty('sources');
      const found = (body['processes'] as readonly Fields[]).find((one) => one['id'] === id);
      if (found !== undefined || BigInt(offset + 100) >= (body['total_count'] as bigint)) {
        return found;
      }
    }
  }

  it('has the transactions of sessions that hold and that wait', async () => {
    const idle = await stage.hold();
    const holder = await stage.hold('BEGIN', 'UPDATE t SET v = v + 1 WHERE id IN (1, 2, 3)');
    const waiter = await stage.wait('UPDATE t SET v = 7 WHERE id = 1');

    expect((await sessionOf(holder.id))?.['transaction']).toEqual({
      state: 'RUNNING',
      seconds: expect.any(BigInt) as unknown,
      rows_locked: expect.any(BigInt) as unknown,
      rows_modified: 3n,
    });
    expect((await sessionOf(waiter.id))?.['transaction']).toMatchObject({ state: 'LOCK WAIT' });
    expect((await sessionOf(idle.id))?.['transaction']).toBeNull();
    await stage.close();
  });

  it('lacks them, with the reason, while MySQL cannot show them beside an emoji', async () => {
    const holder = await stage.hold('BEGIN', 'UPDATE t SET v = v + 1 WHERE id = 1');
    const waiter = await stage.hold();
    stage.start("UPDATE t SET v = 7 WHERE id = 1 AND '😀' = '😀'", waiter);
    const ask = async (): Promise<Fields> =>
      (await read(service, 'processes?with=transaction')).body;
    const reason = async (): Promise<unknown> =>
      ((await ask())['sources'] as Fields | undefined)?.['transaction'];

    if (server.flavour === 'mysql') {
      await until('it runs', async () => String(await reason()).includes('emoji'));
      const [first] = (await ask())['processes'] as readonly Fields[];
      expect(first).not.toHaveProperty('transaction');
    } else {
      const state = async (): Promise<unknown> =>
        ((await sessionOf(waiter.id))?.['transaction'] as Fields | null)?.['state'];
      await until('it waits', async () => (await state()) === 'LOCK WAIT');
    }
    await holder.connection.query('ROLLBACK');
    await stage.waiting[0]?.ended;
    expect(await reason()).toBeUndefined();
    await stage.close();
  });
});
