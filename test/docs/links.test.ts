import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { documents } from '../support/documents.ts';

const links = documents().flatMap(({ path, prose }) =>
  [...prose.matchAll(/\]\(([^()\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => ({ document: path, target })),
);

/** Returns the anchors that GitHub makes from the headings of a document. */
function anchorsIn(path: string): string[] {
  const seen = new Map<string, number>();
  const prose = readFileSync(path, 'utf8').replace(/^ *```.*?^ *```$/gms, '');
  return [...prose.matchAll(/^#+ +(.*)$/gm)].map(([, heading = '']) => {
    const anchor = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-');
    const times = seen.get(anchor) ?? 0;
    seen.set(anchor, times + 1);
    return times === 0 ? anchor : `${anchor}-${times}`;
  });
}

describe('a link within the repository', () => {
  it('is one of more than fifty', () => {
    expect(links.length).toBeGreaterThan(50);
  });

  it.each(links)('has a target: $target in $document', ({ document, target }) => {
    const [file = '', anchor] = target.split('#');
    const path = file === '' ? document : join(dirname(document), file);
    expect([path, existsSync(path)]).toEqual([path, true]);
    if (anchor !== undefined) expect(anchorsIn(path)).toContain(anchor);
  });
});

describe('a Mermaid diagram', () => {
  const kinds = documents().flatMap(({ text }) =>
    [...text.matchAll(/^```mermaid\n(\w+)/gm)].map(([, kind]) => kind),
  );
  it('has a type that GitHub draws', () => {
    expect(kinds).toEqual(['sequenceDiagram', 'flowchart']);
  });
});
