import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { Cleanup } from '../demo/cleanup.ts';
import { Screen } from '../demo/screen.ts';
import { NODE } from '../demo/service.ts';
import { REPOSITORY } from '../lib/launched-service.ts';
import { obtainChromium } from '../program.ts';
import { setScene } from './scene.ts';

// Takes the pictures of docs/console.md from the page with a service and a database server: `npm run pictures`.

const cleanup = new Cleanup();
try {
  const { origin, token, blocker } = await setScene(cleanup);
  const browser = await chromium.launch({
    executablePath: await obtainChromium(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  cleanup.add('the browser', async () => {
    await browser.close();
    return undefined;
  });
  const page = await browser.newPage({
    viewport: { width: 1240, height: 760 },
    locale: 'en-GB',
    colorScheme: 'light',
  });
  await page.goto(`${origin}/console`);
  await page.getByLabel('Project ID').fill(NODE.projectId);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: /orders-primary/ }).click();
  await page
    .getByRole('row', { name: /Select session/ })
    .first()
    .waitFor();
  await page.getByText('unreachable').waitFor();
  await take(page, 'console-sessions');

  await page.getByRole('tab', { name: 'Blockers' }).click();
  const end = page.getByRole('button', { name: `End session ${blocker}` });
  await end.waitFor();
  await take(page, 'console-blockers');

  await end.click();
  await page.getByLabel('Reason').fill('holds up the checkout');
  await take(page, 'console-end');
} finally {
  await cleanup.run(new Screen(process.stderr, process.env));
}

async function take(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(REPOSITORY, `docs/${name}.png`) });
  process.stderr.write(`docs/${name}.png\n`);
}
