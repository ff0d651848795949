import { readdirSync, readFileSync } from 'node:fs';

/** A document of the repository. */
export interface Document {
  readonly path: string;
  readonly text: string;
  /** The text without its blocks of code. */
  readonly prose: string;
}

/** A command in a document. */
export interface Command {
  readonly document: string;
  readonly line: string;
  /** The earlier lines of the same block. */
  readonly before: readonly string[];
  /** The JSON answer that the document shows for it. */
  readonly answer: string | undefined;
}

/** Returns all Markdown files in the root folder and in docs/. */
export function documents(): Document[] {
  const inDocs = readdirSync('docs', { recursive: true, encoding: 'utf8' });
  return [...readdirSync('.'), ...inDocs.map((path) => `docs/${path}`)]
    .filter((path) => path.endsWith('.md'))
    .map((path) => {
      const text = readFileSync(path, 'utf8');
      return { path, text, prose: text.replace(/^ *```.*?^ *```$/gms, '') };
    });
}

/** Returns the lines of shell blocks, and the commands in sentences. A bare program name or a command with … in a sentence does not count. */
export function commandsIn({ path, text, prose }: Document): Command[] {
  const inBlocks = [...text.matchAll(BLOCK)].flatMap(([, block = '', answer]) => {
    const lines = block
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    return lines.map((line, index) => ({
      document: path,
      line,
      before: lines.slice(0, index),
      answer: / # (\{.*\})$/.exec(line)?.[1] ?? answer,
    }));
  });
  const inSentences = [...prose.matchAll(/`([^`\n]+)`/g)]
    .map(([, span = '']) => span)
    .filter((span) => COMMAND.test(span) && !span.includes('…'))
    .map((line) => ({ document: path, line, before: [], answer: undefined }));
  return [...inBlocks, ...inSentences];
}

const BLOCK = /^```(?:sh|bash|console)[^\n]*\n(.*?)^```$(?:\n\n```json\n(.*?)^```$)?/gms;

const COMMAND =
  /^(?:(?:npm|npx|sessionctl|session-control|curl|docker|promtool) \S|node [\w/]+\.js|set -|\w+=\$\()/;
