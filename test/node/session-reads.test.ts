import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { LockStage } from '../support/lock-scenes.ts';
import { read, type Fields } from '../support/reads.ts';
import { asRoot, nodeOn, processList, servers } from '../support/server.ts';
import { createService } from '../support/service.ts';
import { until } from '../support/until.ts';

describe.each(servers)('a read of sessions on $flavour $version', (server) => {
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

  it('has one session with its whole statement and the waits that concern it', async () => {
    const holder = await stage.hold('BEGIN', 'UPDATE t SET v = v + 1 WHERE id = 1');
    const text = `UPDATE t SET v = 8 WHERE id = 1 AND '${'ü'.repeat(500)}' <> ''`;
    const waiter = await stage.wait(text);

    const { status, body } = await read(service, `processes/${waiter.id}`);

    expect([status, body['id'], body['info']]).toEqual([200, waiter.id, text]);
    expect(body).not.toHaveProperty('info_truncated');
    expect(body).toMatchObject({
      ...{ user: server.app.user, db: server.app.user, command: 'Query' },
      transaction: { state: 'LOCK WAIT' },
      blocks: [],
      sources: { transaction: 'available' },
    });
    if (server.flavour === 'mariadb') {
      expect(body['waits_for']).toMatchObject([
        { id: waiter.id, waits_for: holder.id, kind: 'row', table: 't', data: '1' },
      ]);
      const { blocks } = (await read(service, `processes/${holder.id}`)).body;
      expect(blocks).toMatchObject([{ id: waiter.id, waits_for: holder.id }]);
    }
    // A GRANT would not help where the performance schema is off.
    expect((body['sources'] as Fields)['connection_attributes']).toMatch(
      server.flavour === 'mysql'
        ? /GRANT SELECT ON performance_schema\.session_connect_attrs/
        : /performance_schema = ON/,
    );
    await stage.close();
  });

  it.each([65_532, 65_536, 70_001])('cuts a statement of %i bytes at 65,535', async (length) => {
    const session = await stage.hold();
    const [head, tail] = ["SELECT SLEEP(600), '", "'"];
    const room = length - head.length - tail.length;
    const text = `${head}${'a'.repeat(room % 2)}${'ü'.repeat(Math.floor(room / 2))}${tail}`;
    stage.start(text, session);
    const show = async (): Promise<Fields> => (await read(service, `processes/${session.id}`)).body;
    await until('it runs', async () => (await show())['command'] === 'Query');

    const { info, info_truncated: isCut } = await show();

    expect(text.startsWith(String(info))).toBe(true);
    expect(Buffer.byteLength(String(info))).toBeGreaterThanOrEqual(Math.min(length, 65_534));
    expect(Buffer.byteLength(String(info))).toBeLessThanOrEqual(65_535);
    expect(isCut).toBe(length > 65_535 ? true : undefined);
    await stage.close();
  });

  it('has the part of a statement with an emoji that the node shows', async () => {
    const session = await stage.hold();
    const text = `SELECT SLEEP(600), '😀${'x'.repeat(200)}'`;
    stage.start(text, session);
    const show = async (): Promise<Fields> => (await read(service, `processes/${session.id}`)).body;
    await until('it runs', async () => (await show())['command'] === 'Query');
    const { info, info_truncated: isCut } = await show();
    // MySQL shows no more to an account without a grant on performance_schema.threads.
    expect([text.startsWith(String(info)), isCut]).toEqual([
      true,
      server.flavour === 'mysql' ? true : undefined,
    ]);
    await stage.close();
  });

  it('has the attributes of the client, once the account may read them', async () => {
    const { user } = server.control;
    const tables = ['session_connect_attrs', 'threads'];
    const change = (verb: 'GRANT' | 'REVOKE', to: 'TO' | 'FROM'): Promise<void> =>
      asRoot(server, async (root) => {
        for (const table of tables) {
          await root.query(`${verb} SELECT ON performance_schema.${table} ${to} '${user}'@'%'`);
        }
      });
    await change('GRANT', 'TO');
    const session = await stage.hold();
    const { body } = await read(service, `processes/${session.id}`);
    if (server.flavour === 'mysql') {
      expect(body['connection_attributes']).toMatchObject({ _client_name: 'Node-MySQL-2' });
      const text = `SELECT SLEEP(600), '😀${'x'.repeat(200)}'`;
      stage.start(text, session);
      const show = async (): Promise<Fields> =>
        (await read(service, `processes/${session.id}`)).body;
      await until('it runs', async () => (await show())['command'] === 'Query');
      const shown = await show();
      expect([shown['info'], shown['info_truncated']]).toEqual([text, undefined]);
    } else {
      expect((body['sources'] as Fields)['connection_attributes']).toMatch(
        /performance_schema = ON/,
      );
    }
    await change('REVOKE', 'FROM');
    await stage.close();
  });

  it('counts in its summary the sessions that wait for a row, for a table and for GET_LOCK', async () => {
    const count = async (): Promise<readonly unknown[]> => {
      const { blocked, transactions } = (await read(service, 'summary')).body;
      return [blocked, (transactions as Fields)['open']];
    };
    const [before = 0n, open = 0n] = (await count()) as readonly bigint[];
    await stage.hold('BEGIN', 'UPDATE t SET v = v + 1 WHERE id = 1', "SELECT GET_LOCK('job', 1)");
    await stage.wait('UPDATE t SET v = 9 WHERE id = 1');
    await stage.wait("SELECT GET_LOCK('job', 600)");
    await stage.wait('ALTER TABLE t ADD COLUMN w INT');
    expect(await count()).toEqual([before + 3n, open + 2n]);
    await stage.close();
  });

  it('finds neither an internal thread nor an unknown id', async () => {
    const [internal] = (await processList(server)).filter(
      (row) => row['User'] === 'event_scheduler',
    );
    const ids = [String(internal?.['Id'] ?? 4_000_000_001), '4000000000'];
    const [one, other] = await Promise.all(ids.map((id) => read(service, `processes/${id}`)));
    expect([one?.status, one?.body]).toEqual([404, other?.body]);
  });

  it('lacks transactions, with the reason, while MySQL cannot show them beside an emoji', async () => {
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
