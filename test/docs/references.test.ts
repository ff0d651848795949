import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { documents } from '../support/documents.ts';

const FOLDERS = ['src', 'test', 'tools', 'config', 'deploy', 'docs', 'bench', 'examples'];
const paths = [
  ...readdirSync('.'),
  ...FOLDERS.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`),
  ),
];
/** Patterns for the message of a log line in the sources. */
const LOGGED = [
  /\blog\.(?:error|warn|info|debug)\(\s*'([^']+)'/g,
  /\blogCount\(log, '([^']+)'/g,
  /\blog\.log\([^{]*?'([^']+)', \{/g,
];

const beginnings = [...FOLDERS, ...readdirSync('src')];

/** The references to files in documents: a path, which may have stars, or the name of a TypeScript file. */
const references = documents().flatMap(({ path, prose }) =>
  [...prose.matchAll(/`([\w.*/-]+)`/g)]
    .map(([, span = '']) => span)
    .filter((span) => /^[\w.-]+\.ts$/.test(span) || beginnings.includes(span.split('/')[0] ?? ''))
    .filter((span) => span.includes('/') || span.endsWith('.ts'))
    .map((span) => ({ document: path, span })),
);

describe('a file or folder that a document names', () => {
  it('is one of more than a hundred', () => {
    expect(references.length).toBeGreaterThan(100);
  });

  it.each(references)('exists: $span in $document', ({ span }) => {
    expect(paths.filter(matches(span))).not.toEqual([]);
  });
});

const { prose: security = '' } = documents().find(({ path }) => path === 'docs/security.md') ?? {};
const titles = [...security.matchAll(/`([\w-]+\.test\.ts)`:([^|`]*)/g)].flatMap(
  ([, file = '', said = '']) =>
    [...said.matchAll(/"([^"]+)"/g)].map(([, title = '']) => ({ file, title })),
);

describe('a test that docs/security.md names', () => {
  it('is one of more than ten', () => {
    expect(titles.length).toBeGreaterThan(10);
  });

  it.each(titles)('exists: "$title" in $file', ({ file, title }) => {
    const texts = paths.filter(matches(file)).map((path) => readFileSync(path, 'utf8'));
    expect(texts.filter((text) => text.includes(title))).not.toEqual([]);
  });
});

describe('the log lines of the service', () => {
  it('are exactly those in docs/operations.md', () => {
    const [, section = ''] =
      /^## The log$(.*?)^## /ms.exec(readFileSync('docs/operations.md', 'utf8')) ?? [];
    const documented = [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, message]) => message),
    );
    const sources = paths
      .filter((path) => /^src\/.*\.ts$/.test(path))
      .map((path) => readFileSync(path, 'utf8'))
      .join('');
    const logged = LOGGED.flatMap((call) =>
      [...sources.matchAll(call)].map(([, message]) => message),
    );
    expect([...new Set(documented)].sort()).toEqual([...new Set(logged)].sort());
  });
});

/** Returns a test for the paths that a reference matches. A reference may be relative to the repository or to src. */
function matches(span: string): (path: string) => boolean {
  const escaped = span.replace(/\/$/, '').replace(/\./g, '\\.').replace(/\*/g, '[^/]*');
  const pattern = new RegExp(`^(src/)?${escaped}(\\.ts)?$`);
  return (path) => pattern.test(span.includes('/') ? path : basename(path));
}
