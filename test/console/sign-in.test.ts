import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { itBrowses } from '../support/browser.ts';
import { ConsoleStage, NODE_NAME, OPS, signIn } from '../support/console.ts';
import { servers, type Server } from '../support/server.ts';

const [server] = servers as [Server];
const stage = new ConsoleStage();
beforeAll(() => stage.start(server));
afterAll(() => stage.close());

describe('the sign-in', () => {
  itBrowses('leads to the node, and leaves the token in the memory of the page only', async () => {
    const { page, complaints } = await stage.enter();
    await page.getByRole('link', { name: NODE_NAME }).waitFor();
    const kept = await page.evaluate(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])',
    );
    expect(kept).not.toContain(OPS);
    expect(stage.service.output).not.toContain(OPS);
    await page.reload();
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    expect(complaints).toEqual([]);
  });

  itBrowses('is kept until the tab is closed if the person ticks the box', async () => {
    const { page } = await stage.open();
    await page.getByLabel('Stay signed in').check();
    await signIn(page, OPS);
    await page.getByRole('heading', { name: NODE_NAME }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: NODE_NAME }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.reload();
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  itBrowses(
    'shows the message of the service about a wrong token, and keeps both fields',
    async () => {
      const { page, complaints } = await stage.open();
      await signIn(page, 'wrong');
      const alert = page.getByRole('alert');
      expect(await alert.textContent()).toContain('Incorrect IAM authentication information');
      expect(await page.getByLabel('Token').inputValue()).toBe('wrong');
      await signIn(page, OPS);
      await page.getByRole('heading', { name: NODE_NAME }).waitFor();
      expect(complaints).toEqual([]);
    },
  );

  itBrowses('has no form without its script', async () => {
    const { page } = await stage.browser.open(`${stage.origin}/console`, {
      javaScriptEnabled: false,
    });
    expect(await page.locator('form, input').count()).toBe(0);
    expect(await page.locator('body').textContent()).toContain('needs JavaScript');
  });
});

it('the page is not served if the configuration switches it off', async () => {
  const other = new ConsoleStage();
  await other.start(server, { service: 'console: false' });
  try {
    for (const path of ['/console', '/console/licences.md']) {
      expect([path, (await fetch(`${other.origin}${path}`)).status]).toEqual([path, 404]);
      expect([path, (await fetch(`${stage.origin}${path}`)).status]).toEqual([path, 200]);
    }
  } finally {
    await other.close();
  }
});
