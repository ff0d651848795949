import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { openSession } from '../support/client-session.ts';
import { asRoot, liveIds, nodeOn, servers } from '../support/server.ts';
import { createService } from '../support/service.ts';

describe.each(servers)('the grants of a control account on $flavour $version', (server) => {
  const killAny = server.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
  const suffix = randomBytes(4).toString('hex');
  const [user, role] = [`sc_grants_${suffix}`, `sc_role_${suffix}`];
  const account = `'${user}'@'%'`;

  beforeAll(async () => {
    await asRoot(server, async (root) => {
      await root.query(`CREATE USER ${account} IDENTIFIED BY 'password-of-the-grants'`);
      await root.query(`CREATE ROLE ${role}`);
      await root.query(`GRANT PROCESS, ${killAny} ON *.* TO ${role}`);
    });
  });
  afterAll(async () => {
    await asRoot(server, async (root) => {
      await root.query(`DROP USER ${account}`);
      await root.query(`DROP ROLE ${role}`);
    });
  });

  async function connect(): Promise<unknown> {
    const node = nodeOn(server, { user, password: 'password-of-the-grants' });
    return new MysqlNodes().withConnection(node, Infinity, (connection) =>
      connection.list(Infinity),
    );
  }

  function lacks(grant: string): unknown {
    const message = `The control account lacks a privilege on the node: GRANT ${grant} ON *.*, or make the role that has it a default role.`;
    return { code: 'node_unavailable', message };
  }

  it('are required one by one, and a role counts only while it is active', async () => {
    await expect(connect()).rejects.toMatchObject(lacks('PROCESS') as object);

    await asRoot(server, (root) => root.query(`GRANT PROCESS ON *.* TO ${account}`));
    await expect(connect()).rejects.toMatchObject(lacks(killAny) as object);

    await asRoot(server, (root) => root.query(`GRANT ${role} TO ${account}`));
    await expect(connect()).rejects.toMatchObject(lacks(killAny) as object);

    const to = server.flavour === 'mysql' ? 'TO' : 'FOR';
    await asRoot(server, (root) => root.query(`SET DEFAULT ROLE ${role} ${to} ${account}`));
    await expect(connect()).resolves.toBeDefined();
  });

  it('that a warm connection loses cause an error on the next list, never an empty list', async () => {
    const node = nodeOn(server, { user, password: 'password-of-the-grants' });
    const nodes = new MysqlNodes();
    const service = createService({ registry: [node], nodes });
    const victim = await openSession(server);
    const found = { dry_run: true, processes_killed: [victim.id], processes_not_found: [] };
    try {
      // If the privilege comes from a role alone, MySQL also drops it from open sessions. MariaDB does not.
      await asRoot(server, (root) => root.query(`REVOKE PROCESS ON *.* FROM ${account}`));
      expect((await service.find([victim.id])).body).toEqual(found);
      await asRoot(server, (root) => root.query(`REVOKE PROCESS ON *.* FROM ${role}`));

      const [list, kill] = [await service.list(), await service.kill([victim.id])];
      if (server.flavour === 'mariadb') {
        expect(list.status).toBe(200);
        expect(kill.body).toEqual({ processes_killed: [victim.id], processes_not_found: [] });
      } else {
        const error = {
          error_code: 'DBS.200005',
          error_msg: `Server failure. ${(lacks('PROCESS') as Error).message}`,
        };
        expect([list.status, list.body]).toEqual([500, error]);
        expect([kill.status, kill.body]).toEqual([500, error]);
        expect((await liveIds(server)).has(victim.id)).toBe(true);
        await asRoot(server, (root) => root.query(`GRANT PROCESS ON *.* TO ${role}`));
        expect((await service.find([victim.id])).body).toEqual(found);
      }
    } finally {
      nodes.close();
      victim.close();
    }
  });
});
