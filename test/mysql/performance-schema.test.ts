import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import type { RowDataPacket } from 'mysql2/promise';
import { identify } from '../../src/mysql/identity.ts';
import { openConnection } from '../../src/mysql/driver/open-connection.ts';
import { PerformanceSchema } from '../../src/mysql/performance-schema.ts';
import { readProcessList } from '../../src/mysql/process-list.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { client, columns, ordinary, scriptedNode, type Script } from '../support/scripted-node.ts';
import { asRoot, nodeOn, servers } from '../support/server.ts';
import { createService, type TestService } from '../support/service.ts';

type Row = Record<string, string | null>;

function thread(id: number, name: string, type: string | null = 'TCP/IP'): Row {
  return { PROCESSLIST_ID: String(id), NAME: `thread/sql/${name}`, CONNECTION_TYPE: type };
}

const OWN = thread(77, 'one_connection');
const APPLIER = thread(1, 'replica_sql', null);
const APP = thread(2, 'one_connection');

/** Starts a service on a node with these sessions and threads. `asked` has the node's statements about threads. */
async function serve(
  rows: Row[],
  threads: Row[] | Script,
): Promise<{ service: TestService; asked: string[] }> {
  const asked: string[] = [];
  const script = ordinary(() => undefined, {
    rows,
    ...(Array.isArray(threads) && { threads }),
  });
  const node = await scriptedNode((sql, connection) => {
    const isAboutThreads = sql.startsWith('SELECT PROCESSLIST_ID');
    if (isAboutThreads) asked.push(sql.replace(/.* WHERE PROCESSLIST_ID /, ''));
    if (sql.startsWith('KILL')) connection.writeOk();
    else if (isAboutThreads && !Array.isArray(threads)) threads(sql, connection);
    else script(sql, connection);
  });
  return { service: createService({ registry: [node], nodes: new MysqlNodes() }), asked };
}

async function listed(service: TestService): Promise<bigint[]> {
  const processes = await service.listAll();
  return processes.map(({ id }) => id);
}

const refuses =
  (code: number): Script =>
  (_sql, connection) => {
    connection.writeError({ code, message: 'refused' });
  };

describe('the threads behind a list', () => {
  it('decide which of its rows are sessions, and are queried once', async () => {
    const { service, asked } = await serve([client(1), client(2)], [OWN, APPLIER, APP]);
    expect(await listed(service)).toEqual([2n]);
    expect((await service.kill([1n, 2n])).body).toEqual({
      processes_killed: [2n],
      processes_not_found: [1n],
    });
    expect(asked).toEqual(['IS NOT NULL']);
  });

  it('are queried again for a session that is logging in, which has no client yet', async () => {
    const rows = [{ ...client(1), User: 'unauthenticated user', Command: 'Connect' }, client(2)];
    const threads = [OWN, thread(1, 'one_connection', null), APP];
    const { service, asked } = await serve(rows, threads);
    expect(await listed(service)).toEqual([2n]);
    [rows[0], threads[1]] = [client(1), thread(1, 'one_connection')];
    expect(await listed(service)).toEqual([1n, 2n]);
    expect(asked).toEqual(['IS NOT NULL', 'IN (1)']);
  });

  it('are not queried again for a server thread, though it is never idle', async () => {
    const daemon = { ...client(1), Command: 'Daemon' };
    const { service, asked } = await serve([daemon, client(2)], [OWN, APPLIER, APP]);
    for (let time = 0; time < 3; time += 1) expect(await listed(service)).toEqual([2n]);
    expect(asked).toEqual(['IS NOT NULL']);
  });

  it('are queried for a new session', async () => {
    const rows = [client(2)];
    const { service, asked } = await serve(rows, [OWN, APP, thread(3, 'slave_sql', null)]);
    expect(await listed(service)).toEqual([2n]);
    rows.push(client(3));
    expect(await listed(service)).toEqual([2n]);
    expect(asked).toEqual(['IS NOT NULL', 'IN (3)']);
  });

  it('are all read if many sessions are new', async () => {
    const rows = [client(2)];
    const { service, asked } = await serve(rows, [OWN, APP, thread(60, 'slave_sql', null)]);
    await listed(service);
    rows.push(...Array.from({ length: 60 }, (_, index) => client(index + 3)));
    const found = await listed(service);
    expect(found).toHaveLength(60);
    expect(found).not.toContain(60n);
    expect(asked).toEqual(['IS NOT NULL', 'IS NOT NULL']);
  });

  it('leave a session without a thread to the list', async () => {
    const { service } = await serve([client(1), client(2)], [OWN, APPLIER]);
    expect(await listed(service)).toEqual([2n]);
    expect((await service.kill([2n])).body).toMatchObject({ processes_killed: [2n] });
  });

  it.each<[string, Script | Row[]]>([
    ['may not be read', refuses(1142)],
    ['do not exist', refuses(1146)],
    ['have no such column', refuses(1054)],
    ['are empty, without a performance schema', []],
  ])('are not queried again soon if they %s', async (_what, threads) => {
    const { service, asked } = await serve([client(1), client(2)], threads);
    for (let time = 0; time < 3; time += 1) expect(await listed(service)).toEqual([1n, 2n]);
    expect(asked).toHaveLength(1);
  });

  it('are queried again after another error', async () => {
    let time = 0;
    const { service } = await serve([client(1), client(2)], (sql, connection) => {
      time += 1;
      if (time === 1) refuses(1317)(sql, connection);
      else connection.writeTextResult([OWN, APPLIER, APP], columns(Object.keys(OWN)));
    });
    expect(await listed(service)).toEqual([1n, 2n]);
    expect(await listed(service)).toEqual([2n]);
  });

  it('are queried over another connection if the first one breaks', async () => {
    let time = 0;
    const busy = { ...client(2), Command: 'Query' };
    const { service } = await serve([client(1), busy], (_sql, connection) => {
      time += 1;
      if (time === 2) (connection as unknown as { stream: Socket }).stream.destroy();
      else connection.writeTextResult([OWN, APPLIER, APP], columns(Object.keys(OWN)));
    });
    expect(await listed(service)).toEqual([2n]);
    expect(await listed(service)).toEqual([2n]);
    expect(time).toBe(3);
  });
});

describe.each(servers.filter(({ flavour }) => flavour === 'mysql'))(
  'a GRANT on the threads of $flavour $version',
  (server) => {
    it('takes effect after a minute on a connection that was denied before', async () => {
      const user = `sc_ctl_${randomBytes(3).toString('hex')}`;
      await asRoot(server, async (root) => {
        await root.query(`CREATE USER ${user} IDENTIFIED BY '${user}'`);
        await root.query(`GRANT PROCESS ON *.* TO ${user}`);
        const node = nodeOn(server, { user, password: user });
        const connection = await openConnection(node, node, Infinity);
        const identity = await identify(connection, node, Infinity);
        let now = 0;
        const schema = new PerformanceSchema(connection, identity, node, () => now);
        const [own] = await root.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id');
        const id = String(own[0]?.['id']);
        const isSeen = async (): Promise<boolean> => {
          const { rows } = await readProcessList(connection, identity.ownId, node);
          await schema.addThreads(rows);
          return rows.find((row) => row.id === id)?.thread !== undefined;
        };
        const isFound = async (): Promise<boolean> =>
          schema.isQuickerFor(1, 1000) &&
          (await schema.readPart(new Set([BigInt(id)]))) !== undefined;

        expect([await isSeen(), await isFound()]).toEqual([false, false]);
        for (const table of ['threads', 'processlist']) {
          await root.query(`GRANT SELECT ON performance_schema.${table} TO ${user}`);
        }
        now = 59_999;
        expect([await isSeen(), await isFound()]).toEqual([false, false]);
        now = 60_000;
        expect([await isSeen(), await isFound()]).toEqual([true, true]);

        connection.close();
        await root.query(`DROP USER ${user}`);
      });
    });
  },
);
