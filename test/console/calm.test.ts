import { afterAll, afterEach, beforeAll, describe, expect } from '@jest/globals';
import { TcpProxy } from '../../tools/tcp-proxy.ts';
import { itBrowses, TestBrowser } from '../support/browser.ts';
import { openSession, openSessions, type ClientSession } from '../support/client-session.ts';
import { ConsoleStage, createClients, NODE_NAME, OPS } from '../support/console.ts';
import { removeClients, signIn, tickFor, withOwnClients } from '../support/console.ts';
import { startListening, stopAllListening } from '../support/listening.ts';
import { servers, type Server } from '../support/server.ts';
import { TOKEN } from '../support/service.ts';
import { until } from '../support/until.ts';

const [shared] = servers as [Server];
const server = withOwnClients(shared);
const stage = new ConsoleStage();
const browser = new TestBrowser();
const FRAME = "document.querySelector('.frame')";
const opened: ClientSession[] = [];
let proxy: TcpProxy;
beforeAll(async () => {
  await createClients(server);
  proxy = await TcpProxy.start(server.host, server.port);
  await stage.start({ ...server, host: '127.0.0.1', port: proxy.port });
});
afterEach(() => {
  stopAllListening();
  for (const session of opened.splice(0)) session.close();
});
afterAll(async () => {
  await stage.close();
  await browser.close();
  await proxy.close();
  await removeClients(server);
});

describe('a refresh', () => {
  itBrowses('keeps selection, scroll and focus, and marks what is new', async () => {
    opened.push(...(await openSessions(server, 60)));
    const { page } = await stage.enter();
    await page.getByLabel('User').fill(server.app.user);
    await page.getByRole('button', { name: 'ID', exact: true }).click();
    const frame = page.getByRole('region', { name: 'Sessions' });
    const middle = opened[30]?.id ?? 0n;
    await frame.hover();
    await until('the row is in view', async () => {
      await page.mouse.wheel(0, 100);
      return tickFor(page, middle).isVisible();
    });
    const tick = tickFor(page, middle);
    await tick.check();
    // The button above the table moves the table.
    await page.getByRole('button', { name: 'End 1 session' }).waitFor();
    const place = async (): Promise<number | undefined> => (await tick.boundingBox())?.y;
    const before = await place();
    expect(await page.evaluate(`${FRAME}.scrollTop`)).toBeGreaterThan(0);
    opened.push(await openSession(server));
    await page.getByText(/^61 (of|sessions)/).waitFor();
    expect(await tick.isChecked()).toBe(true);
    expect(await page.locator('input:focus').getAttribute('aria-label')).toContain(`${middle}`);
    expect(await place()).toBe(before);
    await page.evaluate(`${FRAME}.scrollTop = ${FRAME}.scrollHeight`);
    await page.locator('tr.new').first().waitFor();
  });

  itBrowses('reads nothing while the tab is hidden', async () => {
    const { page } = await stage.enter();
    const sent: string[] = [];
    page.on('request', (request) => sent.push(request.url()));
    await until('a refresh', () => sent.some((url) => url.endsWith('/summary')));
    await page.evaluate(`Object.defineProperty(document, 'visibilityState', { value: 'hidden' });
      document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));`);
    const count = sent.length;
    await page.waitForTimeout(8000);
    // A request can have been on its way.
    expect(sent.length - count).toBeLessThan(2);
    expect(sent.filter((url) => /lock-wait|blockers|processes\/\d/.test(url))).toEqual([]);
  });
});

describe('a node that goes away and comes back', () => {
  itBrowses('is shown as such, and the page goes on where it was', async () => {
    const [session] = await openSessions(server, 1);
    if (session === undefined) throw new Error('There is no session.');
    opened.push(session);
    const { page, complaints } = await stage.enter();
    await tickFor(page, session.id).check();
    proxy.inject('to server', { kind: 'reset' });
    proxy.strike('to server', { kind: 'reset' });
    const node = page.getByRole('link', { name: NODE_NAME });
    await node.getByText('unreachable').waitFor();
    await page.getByText('The node does not answer. The numbers are from').waitFor();
    await page.getByRole('button', { name: 'End 1 session' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason').fill('typed before');
    await dialog.getByRole('button', { name: 'End 1 session' }).click();
    await dialog.getByText('No session was ended.').waitFor();
    proxy.heal();
    await node.getByText('nothing blocked').waitFor({ timeout: 60_000 });
    expect(await dialog.getByLabel('Reason').inputValue()).toBe('typed before');
    await dialog.getByRole('button', { name: 'End 1 session' }).click();
    await dialog.getByRole('row', { name: /gone$/ }).waitFor();
    expect(session.hasEnded()).toBe(true);
    expect(complaints).toEqual([]);
  });
});

describe('a token that is refused later', () => {
  itBrowses('is asked for again, and nothing that was typed is lost', async () => {
    const [session] = await openSessions(server, 1);
    if (session === undefined) throw new Error('There is no session.');
    opened.push(session);
    const { page } = await stage.enter();
    await page.getByLabel('User').fill(server.app.user);
    await tickFor(page, session.id).check();
    await page.getByRole('button', { name: 'End 1 session' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('typed before');
    let isRefused = true;
    await page.route('**/v3/**', async (route) => {
      const token = isRefused ? { 'x-auth-token': 'withdrawn' } : {};
      await route.continue({ headers: { ...route.request().headers(), ...token } });
    });
    await page.getByRole('dialog').getByRole('button', { name: 'End 1 session' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    isRefused = false;
    await page.getByLabel('Token').fill(OPS);
    await page.getByRole('button', { name: 'Sign in' }).click();
    const question = page.getByRole('dialog', { name: /^End 1 session/ });
    expect(await question.getByLabel('Reason').inputValue()).toBe('typed before');
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'End 1 session' }).click();
    await dialog.getByRole('row', { name: /gone$/ }).waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    expect(await page.getByLabel('User').inputValue()).toBe(server.app.user);
  });
});

describe('ten thousand sessions', () => {
  itBrowses('are loaded on request, with at most 200 rows in the document', async () => {
    const { port, nodes } = await startListening({}, { requestsPerMinute: 600 });
    const first = 9_007_199_254_740_993n;
    for (let count = 0n; count < 10_000n; count += 1n) nodes.connect({ id: String(first + count) });
    const { page, complaints } = await browser.open(`http://127.0.0.1:${port}/console`);
    await signIn(page, TOKEN);
    await page.getByRole('button', { name: 'Load 10,000 sessions' }).waitFor();
    expect(nodes.kills).toEqual([]);
    await page.getByRole('button', { name: 'Load 10,000 sessions' }).click();
    await page.getByText('10,000 sessions', { exact: true }).waitFor({ timeout: 60_000 });
    const rows = page.getByRole('row');
    expect(await rows.count()).toBeLessThan(200);
    await page.getByRole('button', { name: 'ID', exact: true }).click();
    await page.evaluate(`${FRAME}.scrollTop = ${FRAME}.scrollHeight`);
    const last = first + 9999n;
    await tickFor(page, last).check();
    expect(await rows.count()).toBeLessThan(200);
    await page.getByRole('button', { name: 'End 1 session' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'End 1 session' }).click();
    await page.getByRole('dialog').getByRole('row', { name: /gone$/ }).waitFor();
    expect(nodes.kills).toEqual([last]);
    expect(complaints).toEqual([]);
  });
});
