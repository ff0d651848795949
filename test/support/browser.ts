import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { obtainChromium } from '../../tools/program.ts';
import { itNeeds } from './needs.ts';

const program = await obtainChromium().catch((error: unknown) => error as Error);

/** Defines a test that needs Chromium. */
export function itBrowses(name: string, test: () => Promise<void>): void {
  itNeeds(typeof program === 'string' ? undefined : program.message, name, test);
}

/** A tab, with the errors of scripts and the violations of the policy that the browser reported. */
export interface Tab {
  readonly page: Page;
  readonly complaints: readonly string[];
}

/** A Chromium for one test file. */
export class TestBrowser {
  #browser: Browser | undefined;

  /** Opens a tab with its own profile. */
  async open(url: string, options: BrowserContextOptions = {}): Promise<Tab> {
    this.#browser ??= await chromium.launch({
      executablePath: String(program),
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    });
    const context = await this.#browser.newContext({ locale: 'en-GB', ...options });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      // The browser also reports each answer that is no 2xx.
      const isAnswer = /^Failed to load resource/.test(message.text());
      if (['error', 'warning'].includes(message.type()) && !isAnswer)
        complaints.push(message.text());
    });
    await page.goto(url);
    return { page, complaints };
  }

  async close(): Promise<void> {
    await this.#browser?.close();
  }
}
