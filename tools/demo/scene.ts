import type { Connection } from 'mysql2/promise';
import { findNode, type DatabaseNode } from '../database-node.ts';
import { Api } from './api.ts';
import { makeAccounts, type Accounts } from './accounts.ts';
import type { Cleanup } from './cleanup.ts';
import { Clients } from './clients.ts';
import { connectAsRoot, startEventScheduler } from './node.ts';
import type { Screen } from './screen.ts';
import { NODE, Service } from './service.ts';

/** The node with everything on it, and the service beside it. */
export interface Scene {
  readonly node: DatabaseNode;
  readonly root: Connection;
  readonly accounts: Accounts;
  readonly service: Service;
  readonly api: Api;
  /** None of them has begun. */
  readonly clients: Clients;
}

/** Sets up everything that the demonstration needs, and shows what that is. */
export async function setUp(
  environment: NodeJS.ProcessEnv,
  screen: Screen,
  cleanup: Cleanup,
): Promise<Scene> {
  screen.step('A node');
  const node = await takeNode(environment, screen, cleanup);
  const root = await connectAsRoot(node, cleanup);
  if (await startEventScheduler(node, root, cleanup)) {
    screen.say('Its event scheduler was off, and is on until the end.');
  }

  screen.step('A control account on it, with the two privileges that the service needs');
  const accounts = await makeAccounts(node, root, cleanup);
  screen.code(accounts.controlStatements.join('\n'));
  const { web, jobs } = accounts.apps;
  screen.say(
    `For the clients there are ${web.user} with the database ${web.database}, and ${jobs.user} with ${jobs.database}.`,
  );

  screen.step('The service');
  const service = new Service(node, accounts.control, cleanup);
  screen.code(service.command);
  await service.launch();
  screen.say(
    `It listens on ${service.origin}. Its two files hold no secret: of the one caller's token only the SHA-256, and of the password the name of a variable.`,
  );
  const api = new Api(service.origin, service.token, NODE);
  const clients = new Clients(node, accounts, cleanup);
  return { node, root, accounts, service, api, clients };
}

async function takeNode(
  environment: NodeJS.ProcessEnv,
  screen: Screen,
  cleanup: Cleanup,
): Promise<DatabaseNode> {
  const finding = findNode(environment, (line) => {
    screen.say(line);
  });
  cleanup.add('the node', async () => {
    const found = await finding.catch(() => undefined);
    await found?.stop();
    return found?.pid === undefined ? undefined : 'The node has ended, and its files are removed.';
  });
  const node = await finding;
  const name = node.flavour === 'mysql' ? 'MySQL' : 'MariaDB';
  const version = node.version.split('-')[0] ?? '';
  const fate =
    node.pid === undefined
      ? 'What the demonstration makes on it is removed at the end.'
      : 'It was started for the demonstration, and goes at the end.';
  screen.say(`${name} ${version} on ${node.host}:${node.port}. ${fate}`);
  return node;
}
