import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RowDataPacket } from 'mysql2/promise';
import { startServer } from '../../tools/own-server.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import {
  asRoot,
  connectAs,
  createAccounts,
  nodeOn,
  processList,
  servers,
  type Account,
  type Server,
} from '../support/server.ts';
import { createService } from '../support/service.ts';
import { until } from '../support/until.ts';

/** An account whose host reads like the endpoint of a client. */
const PRIVILEGED = "priv@'10.0.0.9:3306'";

for (const { canHavePair, version } of servers.filter(({ flavour }) => flavour === 'mysql')) {
  (canHavePair ? describe : describe.skip)(
    `an applier with its own account on mysql ${version}`,
    testApplier,
  );
}

function testApplier(): void {
  let source: Server;
  let replica: Server;
  const rich: Account = { user: 'rich', password: 'rich-of-the-tests' };
  const stops: (() => Promise<void>)[] = [];
  const opened: ClientSession[] = [];

  beforeAll(async () => {
    const start = async (id: number): Promise<Server> => {
      const options = [`--server-id=${id}`, '--replica-parallel-workers=2', '--gtid-mode=OFF'];
      const node = await startServer('mysql', {
        arguments: [...options, '--enforce-gtid-consistency=OFF'],
      });
      stops.push(() => node.stop());
      return createAccounts(node);
    };
    [source, replica] = [await start(1), await start(2)];
    await prepare();
  }, 120_000);
  afterEach(() => {
    for (const session of opened.splice(0)) session.close();
  });
  afterAll(async () => {
    await Promise.all(stops.map((stop) => stop()));
  });

  async function prepare(): Promise<void> {
    const position = await asRoot(source, async (root) => {
      await root.query(`CREATE USER copier@'%' IDENTIFIED BY 'copier'`);
      await root.query(`GRANT REPLICATION SLAVE ON *.* TO copier`);
      const [rows] = await root.query<RowDataPacket[]>('SHOW BINARY LOG STATUS');
      return rows[0];
    });
    await asRoot(replica, async (root) => {
      await root.query(`CREATE USER ${PRIVILEGED}`);
      await root.query(`GRANT ALL ON *.* TO ${PRIVILEGED}`);
      await root.query(
        `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${source.host}', SOURCE_PORT=${source.port}, SOURCE_USER='copier', SOURCE_PASSWORD='copier', SOURCE_LOG_FILE='${String(position?.['File'])}', SOURCE_LOG_POS=${String(position?.['Position'])}, GET_SOURCE_PUBLIC_KEY=1, PRIVILEGE_CHECKS_USER=${PRIVILEGED}`,
      );
      await root.query('START REPLICA');
      await root.query(`CREATE USER rich@'%' IDENTIFIED BY '${rich.password}'`);
      // This account has the privileges to end each applier.
      await root.query('GRANT PROCESS, CONNECTION_ADMIN, SYSTEM_USER ON *.* TO rich');
      await root.query('GRANT SELECT ON performance_schema.threads TO rich');
      await root.query(`GRANT SYSTEM_USER ON *.* TO ${replica.control.user}`);
    });
    await (await connectAs(replica, rich, { ssl: { rejectUnauthorized: false } })).end();
    await asRoot(source, async (root) => {
      await root.query('CREATE DATABASE d');
      await root.query('CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, a INT)');
      await root.query('INSERT INTO d.t (a) VALUES (0)');
    });
    await untilReplicated(1);
  }

  async function untilReplicated(rows: number): Promise<void> {
    await until(`${rows} rows are on the replica`, async () =>
      asRoot(replica, async (root) => {
        const [found] = await root
          .query<RowDataPacket[]>('SELECT COUNT(*) AS count FROM d.t')
          .catch(() => [[]]);
        return Number(found[0]?.['count']) === rows;
      }),
    );
  }

  async function appliers(): Promise<readonly RowDataPacket[]> {
    return (await processList(replica)).filter((row) => row['User'] === 'priv');
  }

  /** Requests a kill of every applier and a client. Expects that only the client is listed and dies. */
  async function expectSpared(account: Account): Promise<void> {
    const service = createService({ registry: [nodeOn(replica, account)] });
    const client = await openSession(replica);
    opened.push(client);
    const ids = (await appliers()).map((row) => BigInt(String(row['Id'])));
    expect(ids.length).toBeGreaterThanOrEqual(3);
    const processes = await service.listAll();
    expect(processes.filter(({ user }) => user === 'priv')).toEqual([]);
    expect(processes.map(({ id }) => id)).toContain(client.id);
    // A new service has not seen the list.
    const other = createService({ registry: [nodeOn(replica, account)] });
    expect((await other.kill([...ids, client.id])).body).toEqual({
      processes_killed: [client.id],
      processes_not_found: ids,
    });
    await until('the client is gone', () => client.hasEnded());
  }

  it.each(['with', 'without'])(
    'is spared while it is idle, %s the grant on threads',
    async (how) => {
      for (const row of await appliers()) expect(row).toMatchObject({ Host: '10.0.0.9:3306' });
      await expectSpared(how === 'with' ? rich : replica.control);
      await asRoot(source, (root) => root.query('INSERT INTO d.t (a) VALUES (1)'));
      await untilReplicated(how === 'with' ? 2 : 3);
    },
  );

  it('is spared while it applies a long transaction, with the grant on threads', async () => {
    // The applier waits for this row, in a state that any client can have.
    const holder = await connectAs(replica, replica.root);
    await holder.query('BEGIN');
    await holder.query('SELECT * FROM d.t WHERE id = 1 FOR UPDATE');
    await asRoot(source, async (root) => {
      await root.query('SET SESSION binlog_format = STATEMENT');
      await root.query('UPDATE d.t SET a = a + 1 WHERE id = 1');
    });
    await until('a worker waits', async () =>
      (await appliers()).some((row) => /^UPDATE d\.t/.test(String(row['Info']))),
    );
    await expectSpared(rich);
    await holder.query('ROLLBACK');
    await holder.end();
    await asRoot(source, (root) => root.query('INSERT INTO d.t (a) VALUES (2)'));
    await untilReplicated(4);
  });
}
