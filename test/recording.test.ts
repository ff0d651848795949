import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect } from '@jest/globals';
import { obtainChromium } from '../tools/chromium.ts';
import { drawTerminal } from '../tools/recording/svg.ts';
import { itNeeds } from './support/needs.ts';

const folder = mkdtempSync(join(tmpdir(), 'session-control-recording-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const chromium = await obtainChromium().catch((error: unknown) => error as Error);
const missing = typeof chromium === 'string' ? undefined : chromium.message;

// Spaces that a browser collapses are no characters to it.
const MEASURE = `<script>
  const rows = [...document.querySelectorAll('text')];
  const shown = rows.map((row) => [row.textContent.length, row.getNumberOfChars()]);
  document.body.append('measured:' + JSON.stringify(shown));
</script>`;

/** Returns of each line how many characters it has, and how many of them Chromium shows. */
function measure(svg: string): (readonly [number, number])[] {
  const page = join(folder, 'page.html');
  writeFileSync(page, `<!doctype html><body>${svg}${MEASURE}</body>`);
  const { stdout } = spawnSync(
    String(chromium),
    [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
      ...[`--user-data-dir=${join(folder, 'profile')}`, '--dump-dom', `file://${page}`],
    ],
    { encoding: 'utf8' },
  );
  const [, shown = '[]'] = /measured:(\[\[.*\]\])/.exec(stdout) ?? [];
  return JSON.parse(shown) as (readonly [number, number])[];
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
    'keeps its columns in Chromium where the documents show it',
    () => {
      const rows = measure(readFileSync('docs/sessionctl.svg', 'utf8'));
      expect(rows.length).toBeGreaterThan(20);
      expect(rows.filter(([length, shown]) => length !== shown)).toEqual([]);
    },
    120_000,
  );
});
