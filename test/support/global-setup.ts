import type { RowDataPacket } from 'mysql2/promise';
import { prepareDataDirectory } from '../../tools/data-directory.ts';
import { findNode, type DatabaseNode } from '../../tools/database-node.ts';
import { startServer, whyNoServer } from '../../tools/own-server.ts';
import { buildPackage } from './built-package.ts';
import { asRoot, createAccounts, removeAccounts, type Server } from './server.ts';

/** Enough for test files that each open up to 1,000 sessions at the same time. */
const MAX_CONNECTIONS = 2000;

const started: DatabaseNode[] = [];
const removals: (() => Promise<void>)[] = [];
const servers: Server[] = [];
const connectionsBefore = new Map<Server, string>();

/** Builds the package and starts the servers of the tests: the first that is found, and a MySQL if possible. */
export default async function setUp(): Promise<void> {
  const say = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  const built = buildPackage();
  const [whyNoMariadb, whyNoMysql] = [await whyNoServer('mariadb'), await whyNoServer('mysql')];
  if (whyNoMariadb === undefined) removals.push(await prepareDataDirectory('mariadb'));
  if (whyNoMysql === undefined) removals.push(await prepareDataDirectory('mysql'));
  removals.push(await built);
  started.push(await findNode(process.env, say));
  if (whyNoMysql !== undefined) say(`The tests do not run on MySQL: ${whyNoMysql}`);
  else if (started[0]?.flavour !== 'mysql') started.push(await startServer('mysql', { say }));
  for (const node of started) {
    servers.push({
      ...(await createAccounts(node)),
      canHavePair: (await whyNoServer(node.flavour)) === undefined,
    });
  }
  for (const server of servers) {
    connectionsBefore.set(server, await setMaxConnections(server, MAX_CONNECTIONS));
  }
  process.env['TEST_SERVERS'] = JSON.stringify(servers);
  say(
    `Tests run on ${servers.map(({ flavour, version }) => `${flavour} ${version}`).join(' and ')}`,
  );
}

/** Restores the servers, and ends those that were started. */
export async function tearDown(): Promise<void> {
  await Promise.all(servers.map(removeAccounts));
  for (const [server, count] of connectionsBefore) await setMaxConnections(server, count);
  await Promise.all([...started.map((node) => node.stop()), ...removals.map((remove) => remove())]);
}

/** Sets the limit of connections. Resolves to the limit before. */
async function setMaxConnections(server: Server, count: number | string): Promise<string> {
  return await asRoot(server, async (root) => {
    const [rows] = await root.query<RowDataPacket[]>('SELECT @@GLOBAL.max_connections AS count');
    await root.query(`SET GLOBAL max_connections = ${count}`);
    return String(rows[0]?.['count']);
  });
}
