import { composeNode } from './compose-node.ts';
import { startServer } from './own-server.ts';
import { canInstall, installPackages } from './debian-packages.ts';
import { complaint, installedBinaries } from './server-binaries.ts';
import { identify, type ServerIdentity, type ServerLogin } from './server-login.ts';

/** A running server that the demonstration and the tests may change in any way. */
export interface DatabaseNode extends ServerLogin, Pick<ServerIdentity, 'flavour' | 'version'> {
  /** MySQL's `admin_port` or MariaDB's `extra_port`; only for a server that we started. */
  readonly adminPort?: number;
  /** The process id; only for a server that we started. */
  readonly pid?: number;
  /** Ends a server that we started and removes its files. Does nothing to a server that ran before. */
  stop(): Promise<void>;
}

/**
 * Returns the node for the demonstration and the tests. Tries in this order:
 * 1. the server named by `MYSQL_TEST_HOST`, `MYSQL_TEST_PORT`, `MYSQL_TEST_USER` and `MYSQL_TEST_PASSWORD`
 * 2. MariaDB or MySQL of this machine
 * 3. the one in docker-compose.yml
 * 4. Debian's MariaDB, which it installs if it runs as root
 *
 * Rejects with a sentence if the named server cannot be used, or if there is no server.
 */
export async function findNode(
  environment: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<DatabaseNode> {
  const named = namedLogin(environment);
  if (named !== undefined) return await namedNode(named);
  for (const kind of ['mariadb', 'mysql'] as const) {
    if ((await installedBinaries(kind)) !== undefined) return await startServer(kind, { say });
  }
  const composed = await composeNode(say);
  if (composed !== undefined) return composed;
  if (await installMariadb(say)) return await startServer('mariadb', { say });
  throw new Error(
    'There is no MySQL-compatible server. Install MariaDB (on Debian mariadb-server-core and ' +
      'mariadb-client-core), start Docker, or name a server with MYSQL_TEST_HOST.',
  );
}

function namedLogin(environment: NodeJS.ProcessEnv): ServerLogin | undefined {
  const setting = (name: string): string => environment[`MYSQL_TEST_${name}`] ?? '';
  const host = setting('HOST');
  if (host === '') {
    const other = ['PORT', 'USER', 'PASSWORD'].find((name) => setting(name) !== '');
    if (other === undefined) return undefined;
    throw new Error(`MYSQL_TEST_${other} is set, but MYSQL_TEST_HOST is not.`);
  }
  const port = Number(setting('PORT') || '3306');
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error('MYSQL_TEST_PORT must be an integer from 1 to 65535.');
  }
  return { host, port, rootUser: setting('USER') || 'root', rootPassword: setting('PASSWORD') };
}

async function namedNode(login: ServerLogin): Promise<DatabaseNode> {
  try {
    const { flavour, version } = await identify(login);
    return { flavour, version, ...login, stop: () => Promise.resolve() };
  } catch (error) {
    const reason = complaint(error);
    throw new Error(
      `The server named by MYSQL_TEST_HOST, ${login.host}:${login.port}, cannot be used: ${reason}`,
      { cause: error },
    );
  }
}

async function installMariadb(say: (line: string) => void): Promise<boolean> {
  if (!canInstall()) return false;
  const packages = ['mariadb-server-core', 'mariadb-client-core'];
  say(`Installing Debian's ${packages.join(' and ')}`);
  const trouble = await installPackages(...packages);
  if (trouble !== undefined) say(`The installation failed: ${trouble}`);
  return trouble === undefined;
}
