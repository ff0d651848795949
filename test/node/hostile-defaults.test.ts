import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { startServer, type OwnServer } from '../../tools/own-server.ts';
import { openSession, type ClientSession } from '../support/client-session.ts';
import { nodesContract } from '../support/nodes-contract.ts';
import {
  asRoot,
  createAccounts,
  liveIds,
  nodeOn,
  servers,
  type Account,
  type Server,
} from '../support/server.ts';
import { createService } from '../support/service.ts';
import { until } from '../support/until.ts';

/** Settings that every new connection inherits, each with a value that breaks it. */
const HOSTILE = {
  mysql: ['max_execution_time = 1', "sql_mode = 'ANSI_QUOTES'"],
  mariadb: ['max_statement_time = 1', "sql_mode = 'ORACLE'"],
};
const FOR_BOTH = [
  'character_set_server = gbk',
  "time_zone = '+05:45'",
  'autocommit = 0',
  'wait_timeout = 2',
  'max_join_size = 1',
  'sql_select_limit = 2',
  'init_connect = "SET NAMES gbk, sql_select_limit = 1, autocommit = 0, sql_mode = \'ANSI_QUOTES\'"',
];
const LOCAL_USER = '李雷';

for (const { flavour, version, canHavePair } of servers) {
  (canHavePair ? describe : describe.skip)(
    `a control connection to ${flavour} ${version} with hostile defaults`,
    () => {
      testHostileDefaults(flavour);
    },
  );
}

function testHostileDefaults(flavour: Server['flavour']): void {
  let own: OwnServer;
  let server: Server;
  const clients = new Map<bigint, ClientSession>();
  /** An account without the privilege to end other sessions, so that `init_connect` applies to it. */
  const caller: Account = { user: 'sc_caller', password: 'sc-caller-1' };
  const local: Account = { user: LOCAL_USER, password: 'sc-local-1' };

  beforeAll(async () => {
    // Newer MySQL uses the character set that the client sends.
    const further = flavour === 'mysql' ? [] : ['--skip-character-set-client-handshake'];
    own = await startServer(flavour, {
      arguments: [...further, '--character-set-server=gbk'],
    });
    server = await createAccounts(own);
    await asRoot(server, async (root) => {
      await root.query('SET NAMES utf8mb4');
      await root.query('CREATE PROCEDURE mysql.rds_kill(IN thread BIGINT) KILL thread');
      for (const { user, password } of [caller, local]) {
        await root.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
      }
      await root.query(`GRANT PROCESS ON *.* TO ${caller.user}@'%'`);
      await root.query(`GRANT EXECUTE ON PROCEDURE mysql.rds_kill TO ${caller.user}@'%'`);
      for (const setting of [...HOSTILE[flavour], ...FOR_BOTH]) {
        await root.query(`SET GLOBAL ${setting}`);
      }
    });
  }, 120_000);
  afterEach(() => {
    for (const client of clients.values()) client.close();
    clients.clear();
  });
  afterAll(async () => {
    await own.stop();
  });

  async function open(account: Account = server.app): Promise<bigint> {
    // With this option, MariaDB reads the name of a client in its own character set.
    const charset = flavour === 'mariadb' ? 'GBK_CHINESE_CI' : 'UTF8MB4_GENERAL_CI';
    const client = await openSession(server, account, charset);
    // The hostile defaults affect the connections of the tests, too.
    await client.connection.query('SET SESSION wait_timeout = 600');
    clients.set(client.id, client);
    return client.id;
  }

  describe('fulfils the contract of a node:', () => {
    const contracted = new MysqlNodes();
    afterAll(() => {
      contracted.close();
    });
    nodesContract(() => ({
      nodes: contracted,
      node: nodeOn(server),
      openClient: () => open(),
      closeClient: async (id) => clients.get(id)?.connection.end(),
      isAlive: async (id) => (await liveIds(server)).has(id),
      endControlConnection: async (id) => {
        await asRoot(server, (root) => root.query(`KILL CONNECTION ${id}`));
      },
      unreachable: nodeOn(server, { host: '127.0.0.1', port: 9 }),
      makeUnreachable: () => undefined,
    }));
  });

  it.each(['kill', 'rds_kill'] as const)(
    'reads account names correctly, and ends sessions with %s',
    async (killWith) => {
      const account = killWith === 'kill' ? server.control : caller;
      const own = new MysqlNodes();
      const node = nodeOn(server, { ...account, killWith, internalUsers: [LOCAL_USER] });
      const service = createService({ registry: [node], nodes: own });
      const [batch, ...ids] = [await open(local), await open(), await open(), await open()];
      const { status, body } = await service.list();
      const { processes } = body as { processes: { id: bigint; user: string }[] };
      expect(status).toBe(200);
      expect(processes.map(({ id }) => id)).toEqual(ids);

      const answer = await service.kill([...ids, batch]);
      own.close();

      expect(answer.body).toEqual({ processes_killed: ids, processes_not_found: [batch] });
      const alive = await liveIds(server);
      expect([...ids, batch].map((id) => alive.has(id))).toEqual([false, false, false, true]);
    },
  );

  it('stays open beyond the idle timeout of the server', async () => {
    const [own, ids] = [new MysqlNodes(), new Set<bigint>()];
    const useOnce = (): Promise<unknown> =>
      own.withConnection(nodeOn(server), Infinity, async (connection) => {
        ids.add(connection.id);
        await connection.list(Infinity);
      });
    await useOnce();
    // Once the server has closed this idle session, ours has been idle for at least the timeout.
    const idle = await openSession(server);
    await until('the server has closed it', () => idle.hasEnded());
    await useOnce();
    own.close();
    expect(ids.size).toBe(1);
  });
}
