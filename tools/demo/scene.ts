import type { Connection } from 'mysql2/promise';
import { findNode, type DatabaseNode } from '../database-node.ts';
import { buildMissingConsole } from '../lib/console.ts';
import { Api } from './api.ts';
import { makeAccounts, type Accounts } from './accounts.ts';
import type { Cleanup } from './cleanup.ts';
import { Clients } from './clients.ts';
import { connectAsRoot, startEventScheduler } from './node.ts';
import type { Screen } from './screen.ts';
import { NODE, Service } from './service.ts';

/** The node with its accounts and clients, and the service. */
export interface Scene {
  readonly node: DatabaseNode;
  readonly root: Connection;
  readonly accounts: Accounts;
  readonly service: Service;
  readonly api: Api;
  /** The clients, not started yet. */
  readonly clients: Clients;
}

/** Sets up the node, the accounts and the service, and shows them. Rejects with a sentence if that fails. */
export async function setUp(
  environment: NodeJS.ProcessEnv,
  screen: Screen,
  cleanup: Cleanup,
): Promise<Scene> {
  screen.step('A database server');
  const node = await takeNode(environment, screen, cleanup);
  const root = await connectAsRoot(node, cleanup);
  if (await startEventScheduler(node, root, cleanup)) {
    screen.say('Its event scheduler was off. The demonstration turns it on until the end.');
  }

  screen.step('A control account with the two privileges that the service needs');
  const accounts = await makeAccounts(node, root, cleanup);
  screen.code(accounts.controlStatements.join('\n'));
  const { web, jobs } = accounts.apps;
  screen.say(
    `The clients use two accounts: ${web.user} with the database ${web.database}, and ${jobs.user} with ${jobs.database}.`,
  );

  screen.step('The service');
  const service = new Service(node, accounts.control, cleanup);
  screen.code(service.command);
  await buildMissingConsole();
  await service.launch();
  screen.say(
    `It listens on ${service.origin}. Its two files hold no secret: they have the SHA-256 of the caller's token, and the name of the variable with the password.`,
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
  const ending =
    node.pid === undefined
      ? 'The demonstration removes at the end all that it makes here.'
      : 'It was started for the demonstration and ends with it.';
  screen.say(`${name} ${version} on ${node.host}:${node.port}. ${ending}`);
  return node;
}
