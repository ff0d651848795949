import { randomBytes } from 'node:crypto';
import type { Connection } from 'mysql2/promise';
import type { DatabaseNode } from '../database-node.ts';
import type { Cleanup } from './cleanup.ts';
import { asRoot, endSessionsOf, type Account } from './node.ts';

/** The account of an application, with all privileges in the application's own database. */
export type App = Required<Account>;

/** The accounts and databases that the demonstration has made on the node. */
export interface Accounts {
  readonly control: Account;
  /** The statements that made the control account, without the password. */
  readonly controlStatements: readonly string[];
  readonly apps: Readonly<Record<'web' | 'jobs', App>>;
  /** The table in the database of `web`, with the columns `client` and `item`. */
  readonly table: string;
}

/** Makes accounts and databases with unique names. The cleanup ends the sessions of these accounts, and drops everything. */
export async function makeAccounts(
  node: DatabaseNode,
  root: Connection,
  cleanup: Cleanup,
): Promise<Accounts> {
  const suffix = randomBytes(3).toString('hex');
  const control = { user: `session_control_${suffix}`, password: password() };
  const apps = {
    web: { user: `web_${suffix}`, password: password(), database: `shop_${suffix}` },
    jobs: { user: `jobs_${suffix}`, password: password(), database: `jobs_${suffix}` },
  };
  const made: string[] = [];
  cleanup.add(`accounts and databases whose names end in _${suffix}`, async () => {
    if (made.length === 0) return undefined;
    await asRoot(node, async (other) => {
      await endSessionsOf([control.user, apps.web.user, apps.jobs.user], other);
      for (const what of made.toReversed()) await other.query(`DROP ${what}`);
    });
    return `The accounts and databases whose names end in _${suffix} are dropped.`;
  });
  const create = async (what: string, further = ''): Promise<void> => {
    await root.query(`CREATE ${what}${further}`);
    made.push(what);
  };

  const privileges =
    node.flavour === 'mysql' ? 'PROCESS, CONNECTION_ADMIN' : 'PROCESS, CONNECTION ADMIN';
  const grant = `GRANT ${privileges} ON *.* TO ${atAnyHost(control)}`;
  await create(`USER ${atAnyHost(control)}`, ` IDENTIFIED BY '${control.password}'`);
  await root.query(grant);
  for (const app of Object.values(apps)) {
    await create(`DATABASE ${app.database}`);
    await create(`USER ${atAnyHost(app)}`, ` IDENTIFIED BY '${app.password}'`);
    await root.query(`GRANT ALL ON ${app.database}.* TO ${atAnyHost(app)}`);
  }
  const table = `${apps.web.database}.orders`;
  const columns = 'id INT AUTO_INCREMENT PRIMARY KEY, client VARCHAR(20), item VARCHAR(20)';
  await root.query(`CREATE TABLE ${table} (${columns}) ENGINE = InnoDB`);

  const controlStatements = [`CREATE USER ${atAnyHost(control)} IDENTIFIED BY '…';`, `${grant};`];
  return { control, controlStatements, apps, table };
}

function atAnyHost({ user }: Account): string {
  return `'${user}'@'%'`;
}

// Letters, digits and a sign, for servers with password rules.
function password(): string {
  return `${randomBytes(12).toString('hex')}-Aa1`;
}
