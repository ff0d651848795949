import { createRequire } from 'node:module';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from '@jest/globals';
import type { Page } from 'playwright-core';
import { itBrowses } from '../support/browser.ts';
import type { ClientSession } from '../support/client-session.ts';
import { ConsoleStage, createClients, NODE_NAME, OPS } from '../support/console.ts';
import {
  openBlockers,
  removeClients,
  signIn,
  tickFor,
  withOwnClients,
} from '../support/console.ts';
import { nodeKey } from '../support/ids.ts';
import { LockStage } from '../support/lock-scenes.ts';
import { servers, type Server } from '../support/server.ts';
import { until } from '../support/until.ts';

const [shared] = servers as [Server];
const server = withOwnClients(shared);
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const stage = new ConsoleStage();
const locks = new LockStage(server);
let blocker: ClientSession;
beforeAll(async () => {
  await createClients(server);
  await stage.start(server);
  await locks.prepare();
});
beforeEach(async () => {
  blocker = await locks.hold('BEGIN', 'UPDATE t SET v = v + 1 WHERE id = 1');
  await locks.wait('UPDATE t SET v = v + 1 WHERE id = 1');
});
afterEach(() => locks.close());
afterAll(async () => {
  await stage.close();
  await removeClients(server);
});

describe.each(['light', 'dark'] as const)('in %s colours', (colorScheme) => {
  itBrowses('axe finds nothing serious in any state', async () => {
    const { page } = await stage.open({ colorScheme, bypassCSP: true });
    await check(page, 'sign-in');
    await signIn(page, OPS);
    await tickFor(page, blocker.id).check();
    await check(page, 'sessions');
    await page.getByRole('button', { name: `Details of session ${blocker.id}` }).click();
    await page.getByText('The session runs no statement.').waitFor();
    await check(page, 'details');
    await page.keyboard.press('Escape');
    const end = page.getByRole('button', { name: `End session ${blocker.id}` });
    await openBlockers(page, end);
    await check(page, 'blockers');
    await end.click();
    await check(page, 'the question');
    await page.getByRole('dialog').getByRole('button', { name: 'End 1 session' }).click();
    await page.getByRole('dialog').getByRole('row', { name: /gone$/ }).waitFor();
    await check(page, 'the outcome');
    await page.keyboard.press('Escape');
    await page.getByRole('tab', { name: 'History' }).click();
    await check(page, 'history');
  });
});

describe('a phone of 390 px', () => {
  itBrowses('shows all of it without scrolling sideways', async () => {
    const viewport = { width: 390, height: 844 };
    const { page } = await stage.enter(OPS, { viewport });
    const width = (): Promise<number> => page.evaluate('document.documentElement.scrollWidth');
    await tickFor(page, blocker.id).check();
    expect(await width()).toBe(390);
    await page.getByRole('button', { name: 'End 1 session' }).click();
    const box = await page.getByRole('dialog').boundingBox();
    expect(box?.x).toBeGreaterThanOrEqual(0);
    expect((box?.x ?? 0) + (box?.width ?? 391)).toBeLessThanOrEqual(390);
    await page.keyboard.press('Escape');
    await openBlockers(page, page.getByText('1 session waits'));
    expect(await width()).toBe(390);
  });
});

describe('the filter on a phone', () => {
  itBrowses('is folded, so that the table is in sight, and works by keyboard', async () => {
    const viewport = { width: 390, height: 844 };
    const { page } = await stage.open({ viewport, bypassCSP: true });
    await signIn(page, OPS);
    const rows = page.getByRole('row', { name: /Select session/ });
    await rows.nth(1).waitFor();
    const bottom = async (): Promise<number> => {
      const box = await rows.nth(1).boundingBox();
      return (box?.y ?? Infinity) + (box?.height ?? 0);
    };
    expect(await bottom()).toBeLessThanOrEqual(844);
    expect(await page.getByLabel('User').isVisible()).toBe(false);
    await check(page, 'the folded filter');

    const fold = page.getByRole('button', { name: 'Filter', exact: true });
    expect(await fold.getAttribute('aria-expanded')).toBe('false');
    await fold.focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('/(/');
    await page.getByRole('alert').getByText('User: this is no valid pattern.').waitFor();
    expect(await page.locator('input:focus').inputValue()).toBe('/(/');
    await check(page, 'the open filter');

    const filled = page.getByRole('button', { name: 'Filter (1 field set)' });
    expect(await filled.getAttribute('aria-expanded')).toBe('true');
    await filled.press('Enter');
    expect(await page.getByLabel('User').isVisible()).toBe(false);
    await page.getByRole('alert').getByText('User: this is no valid pattern.').waitFor();
    const place = await bottom();
    const readAt = page.getByText(/^list of/);
    const before = await readAt.textContent();
    await until('a refresh', async () => (await readAt.textContent()) !== before);
    expect(await bottom()).toBe(place);
    await page.setViewportSize({ width: 1240, height: 844 });
    expect(await page.getByLabel('User').isVisible()).toBe(true);
    expect(await filled.isVisible()).toBe(false);
  });
});

describe('a browser in Chinese', () => {
  itBrowses('gets the page, and the messages of the service, in Chinese', async () => {
    const { page, complaints } = await stage.open({ locale: 'zh-CN' });
    await page.getByLabel('项目ID').fill(nodeKey.projectId);
    await page.getByLabel('Token').fill('wrong');
    await page.getByRole('button', { name: '登录' }).click();
    await page.getByRole('alert').getByText('IAM认证信息错误').waitFor();
    await page.getByLabel('Token').fill(OPS);
    await page.getByRole('button', { name: '登录' }).click();
    const end = page.getByRole('button', { name: `终止会话${blocker.id}` });
    await openBlockers(page, end, { tab: '阻塞', refresh: '刷新' });
    await end.click();
    await page.getByRole('dialog').getByRole('button', { name: '终止1个会话' }).click();
    await page
      .getByRole('dialog')
      .getByRole('row', { name: /已离开$/ })
      .waitFor();
    expect(await page.evaluate('document.documentElement.lang')).toBe('zh-CN');
    expect(complaints).toEqual([]);
  });
});

describe('the keyboard alone', () => {
  itBrowses('signs in, chooses a session and ends it', async () => {
    const { page } = await stage.open();
    await page.locator('input:focus').waitFor();
    await page.keyboard.type(nodeKey.projectId);
    await page.keyboard.press('Tab');
    await page.keyboard.type(OPS);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: NODE_NAME }).waitFor();
    await tickFor(page, blocker.id).waitFor();
    await tabTo(page, `Select session ${blocker.id}`);
    await page.keyboard.press('Space');
    await page.getByText('1 session selected').waitFor();
    await tabTo(page, 'End 1 session', 'Shift+Tab');
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await tabTo(page, 'End 1 session');
    await page.keyboard.press('Enter');
    await dialog.getByRole('row', { name: /gone$/ }).waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    expect(blocker.hasEnded()).toBe(true);
  });
});

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** Presses a key until the element with this name has the focus. */
async function tabTo(page: Page, name: string, key = 'Tab'): Promise<void> {
  for (let presses = 0; presses < 120; presses += 1) {
    const focused = await page.evaluate(
      `(document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent)`,
    );
    if (focused === name) return;
    await page.keyboard.press(key);
  }
  throw new Error(`${key} never reaches ${name}`);
}

async function check(page: Page, state: string): Promise<void> {
  if (!(await page.evaluate(`'axe' in window`))) await page.addScriptTag({ path: axe });
  const found = await page.evaluate<{ violations: Violation[] }>('axe.run()');
  const serious = found.violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, nodes }) => [state, id, nodes.map(({ html }) => html)]);
  expect(serious).toEqual([]);
}
