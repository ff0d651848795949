import { readdirSync, readFileSync } from 'node:fs';

/** A document of the repository. */
export interface Document {
  readonly path: string;
  readonly text: string;
  /** The text without its blocks of code. */
  readonly prose: string;
}

/** The README, what else lies beside it, and everything in docs/. */
export function documents(): Document[] {
  const inDocs = readdirSync('docs', { recursive: true, encoding: 'utf8' });
  return [...readdirSync('.'), ...inDocs.map((path) => `docs/${path}`)]
    .filter((path) => path.endsWith('.md'))
    .map((path) => {
      const text = readFileSync(path, 'utf8');
      return { path, text, prose: text.replace(/^ *```.*?^ *```$/gms, '') };
    });
}
