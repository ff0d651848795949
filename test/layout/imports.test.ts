import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Each file of src with the files that it imports, also those imported only for types. */
const imports = new Map(
  readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => [path, importsOf(path)]),
);

function importsOf(path: string): string[] {
  return ts
    .preProcessFile(readFileSync(join('src', path), 'utf8'))
    .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => join(path, '..', fileName));
}

/** Returns the shortest chain of imports that leads from a file back to it. */
function cycleFrom(start: string): string | undefined {
  const chains = [[start]];
  const seen = new Set<string>();
  for (const chain of chains) {
    for (const next of imports.get(chain.at(-1) ?? '') ?? []) {
      if (next === start) return [...chain, next].join(' > ');
      if (!seen.has(next)) chains.push([...chain, next]);
      seen.add(next);
    }
  }
  return undefined;
}

describe('the imports of src', () => {
  it('include imports of types', () => {
    expect(imports.get('domain/termination.ts')).toContain('domain/node.ts');
  });

  it('have no cycle', () => {
    expect([...imports.keys()].flatMap((path) => cycleFrom(path) ?? [])).toEqual([]);
  });
});
