import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { itBrowses } from '../support/browser.ts';
import { openSession, runUnwatched, type ClientSession } from '../support/client-session.ts';
import { ConsoleStage, createClients, READER, removeClients } from '../support/console.ts';
import { openBlockers, tickFor, withOwnClients } from '../support/console.ts';
import { LockStage } from '../support/lock-scenes.ts';
import { asRoot, liveIds, servers, type Server } from '../support/server.ts';
import { until } from '../support/until.ts';

it('runs on every server', () => {
  expect(servers.length).toBeGreaterThan(0);
});

describe.each(servers)('the page on $flavour $version', (shared: Server) => {
  const server = withOwnClients(shared);
  const stage = new ConsoleStage();
  const locks = new LockStage(server);
  const opened: ClientSession[] = [];
  beforeAll(async () => {
    await createClients(server);
    await stage.start(server);
  });
  beforeEach(() => locks.prepare());
  afterEach(async () => {
    await locks.close();
    for (const session of opened.splice(0)) session.close();
  });
  afterAll(async () => {
    await stage.close();
    await removeClients(server);
  });

  async function open(account = server.app): Promise<ClientSession> {
    const session = await openSession(server, account);
    opened.push(session);
    return session;
  }

  itBrowses('finds the blocker, ends it, and its waiters go on', async () => {
    const blocker = await locks.hold('BEGIN', 'UPDATE t SET v = v + 1 WHERE id = 1');
    await locks.wait('UPDATE t SET v = v + 1 WHERE id = 1');
    await locks.wait('UPDATE t SET v = v + 1 WHERE id = 1');
    const { page, complaints } = await stage.enter();
    const button = page.getByRole('button', { name: `End session ${blocker.id}` });
    await openBlockers(page, button);
    const card = page.getByRole('listitem').filter({ has: button });
    await card.getByText('2 sessions wait').waitFor();
    await card.getByText('1 row changed').waitFor();
    await button.click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('1 row change of 1 open transaction will be rolled back.').waitFor();
    await dialog.getByLabel('Reason').fill('holds up the orders');
    await dialog.getByRole('button', { name: 'End 1 session' }).click();
    await dialog.getByRole('row', { name: /gone$/ }).waitFor();
    const ends = await Promise.all(locks.waiting.map(({ ended }) => ended));
    expect(ends).toEqual([undefined, undefined]);
    expect(blocker.hasEnded()).toBe(true);
    await dialog.getByRole('button', { name: 'Close' }).click();
    await card.waitFor({ state: 'hidden' });
    expect(complaints).toEqual([]);
  });

  itBrowses('ends the chosen sessions, and no other', async () => {
    const [one, other] = [await open(), await open()];
    const { page } = await stage.enter();
    await tickFor(page, one.id).check();
    await end(page);
    await outcomeOf(page, one.id, 'gone');
    const alive = await liveIds(server);
    expect([one, other].map(({ id }) => alive.has(id))).toEqual([false, true]);
  });

  itBrowses('ends only the statement if the person wants that', async () => {
    const session = await open();
    runUnwatched(session, 'SELECT SLEEP(600)');
    const { page } = await stage.enter();
    await page.getByLabel('Statement').fill('*sleep(600)');
    await tickFor(page, session.id).check();
    await page.getByRole('button', { name: 'End 1 session' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel(/^Only the statement/).check();
    await dialog.getByRole('button', { name: 'End 1 statement' }).click();
    await outcomeOf(page, session.id, 'statement ended');
    expect((await liveIds(server)).has(session.id)).toBe(true);
    const [rows] = await session.connection.query("SELECT 'lives' AS it");
    expect(rows).toEqual([{ it: 'lives' }]);
  });

  itBrowses('leaves a session alone that changes between the look and the kill', async () => {
    const session = await open();
    const { page } = await stage.enter();
    await tickFor(page, session.id).check();
    await page.getByRole('button', { name: 'End 1 session' }).click();
    const { user, password } = server.control;
    await session.connection.changeUser({ user, password });
    await page.getByRole('dialog').getByRole('button', { name: 'End 1 session' }).click();
    await outcomeOf(page, session.id, 'changed or ended before the kill: skipped');
    expect((await liveIds(server)).has(session.id)).toBe(true);
    expect(session.hasEnded()).toBe(false);
  });

  itBrowses('shows HTML and script in a statement and in a user name as text', async () => {
    const name = '<img src=x onerror=hit()>';
    const password = 'a-password';
    await asRoot(server, async (root) => {
      await root.query('CREATE USER ?@? IDENTIFIED BY ?', [name, '%', password]);
    });
    try {
      const session = await open({ user: name, password });
      runUnwatched(session, 'SELECT SLEEP(600), "<script>hit()</script><b>bold</b>"');
      const { page, complaints } = await stage.enter();
      const row = page.getByRole('row').filter({ has: tickFor(page, session.id) });
      await row.getByText(name).waitFor();
      await row.getByText('<script>hit()</script>').waitFor();
      await row.getByRole('button', { name: `Details of session ${session.id}` }).click();
      await page.getByRole('dialog').getByText('<script>hit()</script><b>bold</b>').waitFor();
      expect(await page.locator('main img, main b b, pre b, [role=dialog] img').count()).toBe(0);
      expect(complaints).toEqual([]);
    } finally {
      await asRoot(server, async (root) => {
        await root.query('DROP USER ?@?', [name, '%']);
      });
    }
  });

  itBrowses('shows a reader the sessions, and no button to end them', async () => {
    const session = await open();
    const { page } = await stage.enter(READER);
    await tickFor(page, session.id).check();
    await page.getByText('1 session selected').waitFor();
    expect(await page.getByRole('button', { name: /^End/ }).count()).toBe(0);
    await page.getByRole('button', { name: `Details of session ${session.id}` }).click();
    await page.getByRole('dialog').getByText('The session runs no statement.').waitFor();
    expect(await page.getByRole('button', { name: /^End/ }).count()).toBe(0);
  });

  itBrowses(
    'reports a kill without a response as unknown, and finds its outcome under the same key',
    async () => {
      const session = await open();
      const { page } = await stage.enter();
      await tickFor(page, session.id).check();
      const keys: string[] = [];
      let isCut = true;
      await page.route('**/processes', async (route) => {
        const request = route.request();
        if (request.method() !== 'DELETE') return route.continue();
        keys.push(request.headers()['idempotency-key'] ?? '');
        if (!isCut) return route.continue();
        // The service carries the request out, and the answer is lost.
        await route.fetch();
        return route.abort('connectionreset');
      });
      await end(page);
      await outcomeOf(page, session.id, 'unknown');
      await until('the session has ended', () => session.hasEnded());
      isCut = false;
      await outcomeOf(page, session.id, 'gone');
      expect(new Set(keys).size).toBe(1);
      expect(keys.length).toBeGreaterThan(1);
      expect(keys[0]).not.toBe('');
    },
  );
});

/** Ends the one chosen session. */
async function end(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'End 1 session' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End 1 session' }).click();
}

async function outcomeOf(page: Page, id: bigint, outcome: string): Promise<void> {
  const row = page.getByRole('dialog').getByRole('row', { name: new RegExp(`^${id} `) });
  await row.getByText(outcome, { exact: true }).waitFor();
}
