import { randomBytes } from 'node:crypto';
import type { Locator, Page } from 'playwright-core';
import { TestBrowser, type Tab } from './browser.ts';
import { nodeKey } from './ids.ts';
import { admitWithoutTls, asRoot, type Server } from './server.ts';
import { ServiceProcess } from './service-process.ts';
import { sha256 } from './service.ts';
import { until } from './until.ts';

/** The name of the node on the page. */
export const NODE_NAME = 'orders-primary';
/** The tokens of a caller with all actions, and of one that may only list. */
export const [OPS, READER] = ['token-of-ops', 'token-of-a-reader'];

/** The service as a process with one node, and a browser. */
export class ConsoleStage {
  readonly service = new ServiceProcess();
  readonly browser = new TestBrowser();
  origin = '';

  /** Starts the service with this server as its node, and more settings and nodes if given. */
  async start(
    server: Server,
    { otherNodes = '', ...more }: { server?: string; service?: string; otherNodes?: string } = {},
  ): Promise<void> {
    const { projectId } = nodeKey;
    this.service.configure(server, OPS, {
      ...more,
      identity: `    - { sha256: ${sha256(READER)}, user: looker, project_id: ${projectId}, actions: [gaussdbformysql:instance:listProcesses] }`,
      node: `name: ${NODE_NAME}\n${otherNodes}`,
    });
    this.service.start({ NODE_PASSWORD: server.control.password });
    this.origin = await this.service.url();
  }

  /** Opens the page without signing in. */
  async open(options: Parameters<TestBrowser['open']>[1] = {}): Promise<Tab> {
    return this.browser.open(`${this.origin}/console`, options);
  }

  /** Opens the page, signs in, and waits for the numbers of the node. */
  async enter(token = OPS, options: Parameters<TestBrowser['open']>[1] = {}): Promise<Tab> {
    const tab = await this.open(options);
    await signIn(tab.page, token);
    await tab.page.getByRole('heading', { name: NODE_NAME }).waitFor();
    return tab;
  }

  async close(): Promise<void> {
    await this.browser.close();
    this.service.remove();
  }
}

/** Fills and sends the form of the sign-in. */
export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Project ID').fill(nodeKey.projectId);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Returns the tick box of a session. */
export function tickFor(page: Page, id: bigint): Locator {
  return page.getByRole('checkbox', { name: `Select session ${id}`, exact: true });
}

/**
 * Returns the server with accounts and a database of its own: other test files open and close sessions at the same time, and rely on what
 * the shared control account must not read.
 */
export function withOwnClients(server: Server): Server {
  const user = `sc_page_${randomBytes(4).toString('hex')}`;
  const control = `${user}_c`;
  return {
    ...server,
    app: { user, password: user },
    control: { user: control, password: control },
  };
}

/** Creates the accounts and the database of `withOwnClients`. The control account can read all locks. */
export async function createClients(server: Server): Promise<void> {
  const { app, control, flavour } = server;
  const killAny = flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
  await asRoot(server, async (root) => {
    for (const { user, password } of [app, control]) {
      await root.query(`CREATE USER ${user}@'%' IDENTIFIED BY '${password}'`);
    }
    await root.query(`CREATE DATABASE ${app.user}`);
    await root.query(`GRANT ALL ON ${app.user}.* TO ${app.user}@'%'`);
    await root.query(`GRANT PROCESS, ${killAny} ON *.* TO ${control.user}@'%'`);
    await root.query(`GRANT SELECT ON performance_schema.* TO ${control.user}@'%'`);
  });
  await admitWithoutTls(server, control);
}

/** Removes the accounts and the database. */
export async function removeClients(server: Server): Promise<void> {
  const { app, control } = server;
  await asRoot(server, async (root) => {
    await root.query(`DROP USER ${app.user}@'%', ${control.user}@'%'`);
    await root.query(`DROP DATABASE ${app.user}`);
  });
}

/** Opens the tab of the blockers, and presses the button `refresh` until `shown` is there: the service shows locks that it read 2 s ago. */
export async function openBlockers(
  page: Page,
  shown: Locator,
  { tab, refresh } = { tab: 'Blockers', refresh: 'Refresh' },
): Promise<void> {
  await page.getByRole('tab', { name: tab }).click();
  const button = page.getByRole('button', { name: refresh, exact: true });
  await until(
    'the blocker is shown',
    async () => {
      if (await shown.isVisible()) return true;
      if (await button.isEnabled()) await button.click();
      return false;
    },
    60_000,
    500,
  );
}
