import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { NodeIdentity } from '../../src/mysql/node-identity.ts';
import { SharedControlConnection } from '../../src/mysql/shared-connection.ts';
import { asRoot, nodeOn, servers, type Server } from '../support/server.ts';

const account = { user: 'sc_in_a_hurry', password: 'sc_in_a_hurry' };
const found = servers.filter(({ flavour }) => flavour === 'mariadb');

(found.length === 0 ? describe.skip : describe)('a control connection to MariaDB', () => {
  const [server] = found as [Server];

  beforeAll(async () => {
    await asRoot(server, async (root) => {
      const { user, password } = account;
      const limited = `IDENTIFIED BY '${password}' WITH MAX_STATEMENT_TIME 0.3`;
      await root.query(`CREATE USER ${user}@'%' ${limited}`);
      await root.query(`GRANT PROCESS, CONNECTION ADMIN ON *.* TO ${user}@'%'`);
    });
  });
  afterAll(() => asRoot(server, (root) => root.query(`DROP USER ${account.user}@'%'`)));

  // A KILL marks its session and can then wait for 2 s during other KILLs (docs/faq.md). With a limit, it would report a dying session as failed.
  it('has no limit for its statements, even if the account has one', async () => {
    const node = nodeOn(server, account);
    const { connection } = await SharedControlConnection.open(
      node,
      node,
      performance.now() + 10_000,
      {
        identity: new NodeIdentity(),
      },
    );
    try {
      const { rows } = await connection.query('SELECT @@max_statement_time', 5000, Infinity);
      expect(Number(rows[0]?.[0])).toBe(0);
    } finally {
      connection.close();
    }
  });
});
