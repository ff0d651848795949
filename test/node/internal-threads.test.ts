import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RowDataPacket } from 'mysql2/promise';
import { startServer } from '../../tools/own-server.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import {
  asRoot,
  createAccounts,
  nodeOn,
  processList,
  servers,
  type Server,
} from '../support/server.ts';
import { createService } from '../support/service.ts';
import { until } from '../support/until.ts';

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? describe : describe.skip)(`internal threads of ${flavour} ${version}`, () => {
    testInternalThreads(flavour);
  });
}

function testInternalThreads(flavour: Server['flavour']): void {
  // The test starts its own servers: a shared one may lack a binary log, and must not get a replica.
  let source: Server;
  let replica: Server;
  const stops: (() => Promise<void>)[] = [];
  const opened: ClientSession[] = [];

  beforeAll(async () => {
    for (const id of ['1', '2']) {
      const node = await startServer(flavour, { arguments: [`--server-id=${id}`] });
      stops.push(() => node.stop());
      if (id === '1') source = await createAccounts(node);
      else replica = await createAccounts(node);
    }
    await replicate(source, replica);
  }, 120_000);

  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });

  afterAll(async () => {
    await Promise.all(stops.map((stop) => stop()));
  });

  /** Requests a kill of the threads and of a client, and expects that only the client dies. */
  async function expectOnlyClientDies(server: Server, internal: readonly bigint[]): Promise<void> {
    const service = createService({ registry: [nodeOn(server)] });
    const client = await openSession(server);
    opened.push(client);

    const answer = await service.kill([...internal, client.id]);

    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ processes_killed: [client.id], processes_not_found: internal });
    await until('the client is gone', () => client.hasEnded());
    const processes = await service.listAll();
    expect(processes.filter(({ id }) => internal.includes(id))).toEqual([]);
  }

  it('include the event scheduler and a running event worker, which survive', async () => {
    await asRoot(source, async (root) => {
      // The replica lacks this database.
      await root.query('SET SESSION sql_log_bin = 0');
      await root.query(
        `CREATE EVENT ${source.app.user}.worker ON SCHEDULE AT CURRENT_TIMESTAMP DO DO SLEEP(600)`,
      );
    });
    const isWorker = (row: RowDataPacket): boolean => String(row['State']) === 'User sleep';
    await until('the event runs', async () => (await processList(source)).some(isWorker));
    const rows = await processList(source);
    const worker = rows.find(isWorker);
    const scheduler = rows.find((row) => row['User'] === 'event_scheduler');
    // The list shows the worker under its definer and without a port, like a session.
    expect(worker).toMatchObject({ User: source.root.user, Command: 'Connect' });

    await expectOnlyClientDies(source, idsOf([worker, scheduler]));

    const after = await processList(source);
    expect(idsOf(after)).toEqual(expect.arrayContaining(idsOf([worker, scheduler])));
    expect(after.find((row) => row['Id'] === worker?.['Id'])?.['Command']).toBe('Connect');
  });

  it('include the binlog dump on the source, which survives, and replication continues', async () => {
    const isDump = (row: RowDataPacket): boolean =>
      String(row['Command']).startsWith('Binlog Dump');
    await until('the replica reads', async () => (await processList(source)).some(isDump));
    const dumps = (await processList(source)).filter(isDump);
    expect(dumps).toHaveLength(1);

    await expectOnlyClientDies(source, idsOf(dumps));

    expect((await processList(source)).filter(isDump).map((row) => row['Id'] as unknown)).toEqual(
      dumps.map((row) => row['Id'] as unknown),
    );
    await expectReplication(source, replica, 'after_dump');
  });

  it("include the replica's own threads, which survive, and replication continues", async () => {
    const isReplicas = (row: RowDataPacket): boolean => row['User'] === 'system user';
    const threads = (await processList(replica)).filter(isReplicas);
    expect(threads.length).toBeGreaterThanOrEqual(2);

    await expectOnlyClientDies(replica, idsOf(threads));

    const after = (await processList(replica)).filter(isReplicas);
    expect(idsOf(after)).toEqual(idsOf(threads));
    expect(after.filter((row) => row['Command'] === 'Killed')).toEqual([]);
    await expectReplication(source, replica, 'after_threads');
  });
}

function idsOf(rows: readonly (RowDataPacket | undefined)[]): bigint[] {
  return rows.map((row) => BigInt(String(row?.['Id'])));
}

async function replicate(source: Server, replica: Server): Promise<void> {
  const { user, password } = { user: 'copier', password: 'copier-of-the-tests' };
  const position = await asRoot(source, async (root) => {
    await root.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
    await root.query(`GRANT REPLICATION SLAVE ON *.* TO '${user}'@'%'`);
    const show = source.flavour === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
    const [rows] = await root.query<RowDataPacket[]>(show);
    return rows[0];
  });
  const [file, at] = [String(position?.['File']), String(position?.['Position'])];
  await asRoot(replica, async (root) => {
    if (source.flavour === 'mysql') {
      await root.query(
        `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${source.host}', SOURCE_PORT=${source.port}, SOURCE_USER='${user}', SOURCE_PASSWORD='${password}', SOURCE_LOG_FILE='${file}', SOURCE_LOG_POS=${at}, GET_SOURCE_PUBLIC_KEY=1`,
      );
      await root.query('START REPLICA');
    } else {
      await root.query('SET GLOBAL slave_parallel_threads = 2');
      await root.query(
        `CHANGE MASTER TO MASTER_HOST='${source.host}', MASTER_PORT=${source.port}, MASTER_USER='${user}', MASTER_PASSWORD='${password}', MASTER_LOG_FILE='${file}', MASTER_LOG_POS=${at}`,
      );
      await root.query('START SLAVE');
    }
  });
  await expectReplication(source, replica, 'at_first');
}

/** Expects that a write on the source arrives on the replica. */
async function expectReplication(source: Server, replica: Server, name: string): Promise<void> {
  await asRoot(source, (root) => root.query(`CREATE DATABASE ${name}`));
  await until(`${name} arrives on the replica`, async () =>
    asRoot(replica, async (root) => {
      const [rows] = await root.query<RowDataPacket[]>(`SHOW DATABASES LIKE '${name}'`);
      return rows.length === 1;
    }),
  );
}
