import { afterEach, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import { processesPath } from '../support/ids.ts';
import { liveIds, nodeOn, servers } from '../support/server.ts';
import { createService, TOKEN } from '../support/service.ts';

describe.each(servers)('what is left of a killed session, on $flavour $version', (server) => {
  const service = createService({ registry: [nodeOn(server)] });
  const opened: ClientSession[] = [];
  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });

  async function open(): Promise<ClientSession> {
    const session = await openSession(server);
    opened.push(session);
    return session;
  }

  async function kill(ids: readonly bigint[], prefer: string): Promise<Map<number, string>> {
    const res = await request(service.app)
      .delete(processesPath())
      .set({ 'X-Auth-Token': TOKEN, Prefer: prefer })
      .type('application/json')
      .send(`{"processes":[${ids.join(',')}]}`)
      .expect(200);
    const { processes } = res.body as { processes: { id: number; outcome: string }[] };
    return new Map(processes.map(({ id, outcome }) => [id, outcome]));
  }

  it('is nothing, once it is waited for', async () => {
    const [idle, busy] = [await open(), await open()];
    runUnwatched(busy, 'SELECT SLEEP(600)');

    const outcomes = await kill(
      [idle.id, busy.id, 4_000_000_000n],
      'wait=20, return=representation',
    );

    expect([...outcomes.values()]).toEqual(['gone', 'gone', 'not_found']);
    const alive = await liveIds(server);
    expect([idle.id, busy.id].filter((id) => alive.has(id))).toEqual([]);
  });

  it('is a rollback as long as it lasts, although MySQL lists the session no more', async () => {
    const table = `${server.app.user}.rollback_${server.flavour}`;
    const session = await open();
    await session.connection.query(`CREATE TABLE ${table} (n INT, s CHAR(200)) ENGINE=InnoDB`);
    await session.connection.query('START TRANSACTION');
    await session.connection.query(`INSERT INTO ${table} VALUES (1, REPEAT('x', 200))`);
    // 2^19 rows: enough for a rollback that is seen.
    for (let doubled = 0; doubled < 19; doubled += 1) {
      await session.connection.query(`INSERT INTO ${table} SELECT * FROM ${table}`);
    }

    const atOnce = await kill([session.id], 'return=representation');
    expect([...atOnce.values()]).toEqual(['rolling_back']);
  });

  it('is waited for until the rollback is over', async () => {
    const table = `${server.app.user}.waited_${server.flavour}`;
    const session = await open();
    await session.connection.query(`CREATE TABLE ${table} (n INT, s CHAR(200)) ENGINE=InnoDB`);
    await session.connection.query('START TRANSACTION');
    await session.connection.query(`INSERT INTO ${table} VALUES (1, REPEAT('x', 200))`);
    for (let doubled = 0; doubled < 17; doubled += 1) {
      await session.connection.query(`INSERT INTO ${table} SELECT * FROM ${table}`);
    }

    const outcomes = await kill([session.id], 'wait=30, return=representation');

    expect([...outcomes.values()]).toEqual(['gone']);
    const [rows] = await (
      await open()
    ).connection.query(`SELECT COUNT(*) AS n FROM ${table} LOCK IN SHARE MODE`);
    expect(rows).toEqual([{ n: '0' }]);
  });
});
