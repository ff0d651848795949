import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect } from '@jest/globals';
import { obtainChromium } from '../tools/program.ts';
import { drawTerminal } from '../tools/recording/svg.ts';
import { itNeeds } from './support/needs.ts';

const folder = mkdtempSync(join(tmpdir(), 'session-control-recording-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const chromium = await obtainChromium().catch((error: unknown) => error as Error);
const missing = typeof chromium === 'string' ? undefined : chromium.message;

// getNumberOfChars() does not count spaces that the browser collapses.
const MEASURE = `<script>
  const rows = [...document.querySelectorAll('text')];
  const shown = rows.map((row) => [row.textContent.length, row.getNumberOfChars()]);
  document.body.append('measured:' + JSON.stringify(shown));
</script>`;

/** Returns the width and the height of a picture on a page that sets neither. */
function naturalSize(picture: string): readonly string[] {
  const show = `document.body.append('size:' + this.naturalWidth + 'x' + this.naturalHeight)`;
  const dom = browse(`<img src="file://${resolve(picture)}" onload="${show}">`);
  return /size:(\d+)x(\d+)</.exec(dom)?.slice(1) ?? [];
}

/** Returns for each line its number of characters, and how many of them Chromium shows. */
function measure(svg: string): (readonly [number, number])[] {
  const stdout = browse(`${svg}${MEASURE}`);
  const [, shown = '[]'] = /measured:(\[\[.*\]\])/.exec(stdout) ?? [];
  return JSON.parse(shown) as (readonly [number, number])[];
}

/** Returns the DOM of the page after Chromium has loaded it. */
function browse(content: string): string {
  const page = join(folder, 'page.html');
  writeFileSync(page, `<!doctype html><body>${content}</body>`);
  const { stdout } = spawnSync(
    String(chromium),
    [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
      ...[`--user-data-dir=${join(folder, 'profile')}`, '--dump-dom', `file://${page}`],
    ],
    { encoding: 'utf8' },
  );
  return stdout;
}

describe('a picture of a terminal', () => {
  itNeeds(
    missing,
    'keeps its columns in Chromium',
    async () => {
      const svg = await drawTerminal(
        'ID    \x1b[1mUSER    HOST\x1b[22m\r\n  7    app     a\r\n',
        'Title',
      );
      expect(measure(svg)).toEqual([
        [18, 18],
        [16, 16],
      ]);
    },
    120_000,
  );

  itNeeds(
    missing,
    'keeps its columns in Chromium in docs/sessionctl.svg',
    () => {
      const rows = measure(readFileSync('docs/sessionctl.svg', 'utf8'));
      expect(rows.length).toBeGreaterThan(20);
      expect(rows.filter(([length, shown]) => length !== shown)).toEqual([]);
    },
    120_000,
  );

  itNeeds(
    missing,
    'has the size of its viewBox on a page that sets none',
    () => {
      for (const picture of ['docs/sessionctl.svg', 'bench/results.svg']) {
        const [, width, height] =
          /viewBox="0 0 (\d+) (\d+)"/.exec(readFileSync(picture, 'utf8')) ?? [];
        expect([picture, ...naturalSize(picture)]).toEqual([picture, width, height]);
      }
    },
    120_000,
  );
});
