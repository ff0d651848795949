import { findNode, type DatabaseNode } from '../../tools/database-node.ts';
import { startServer, whyNoServer } from '../../tools/own-server.ts';
import { createAccounts, removeAccounts, type Server } from './server.ts';

const started: DatabaseNode[] = [];
const servers: Server[] = [];

/** Brings up the servers that the tests run on: the one that is to be had, and MySQL beside it where that can be. */
export default async function setUp(): Promise<void> {
  const say = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  started.push(await findNode(process.env, say));
  const whyNoMysql = await whyNoServer('mysql');
  if (whyNoMysql !== undefined) say(`Without MySQL beside it: ${whyNoMysql}`);
  else if (started[0]?.flavour !== 'mysql') started.push(await startServer('mysql', { say }));
  for (const node of started) {
    servers.push({
      ...(await createAccounts(node)),
      canHavePair: (await whyNoServer(node.flavour)) === undefined,
    });
  }
  process.env['TEST_SERVERS'] = JSON.stringify(servers);
  say(
    `Tests run on ${servers.map(({ flavour, version }) => `${flavour} ${version}`).join(' and ')}`,
  );
}

/** Leaves the servers as they were, and ends those that were brought up. */
export async function tearDown(): Promise<void> {
  await Promise.all(servers.map(removeAccounts));
  await Promise.all(started.map((node) => node.stop()));
}
