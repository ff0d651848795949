import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { Variable } from './yaml-keys.ts';

/** Variables of the process, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A configuration file that was read: the value, or else what is wrong with it, a line each. */
export interface YamlFile<T> {
  readonly value: T | undefined;
  readonly problems: readonly string[];
  /** What was written, unchecked; for finding the next file although this one has problems. */
  readonly written: unknown;
}

/**
 * Reads a YAML file, puts variables in the place of `${NAME}` (`$$` is a dollar sign), and checks it all against the schema.
 * No problem that it tells of holds a value of the file, since that could be a secret.
 */
export function readYamlFile<S extends z.ZodType>(
  path: string,
  schema: S,
  environment: Environment,
): YamlFile<z.output<S>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return {
      value: undefined,
      written: undefined,
      problems: [`${path}: cannot be read (${code})`],
    };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const at = (keys: readonly PropertyKey[]): string =>
    `${path}${position(document, lines, keys)}: `;
  if (document.errors.length > 0) {
    const problems = document.errors.map(({ linePos, code }) => {
      const [start] = linePos ?? [];
      return `${path}:${String(start?.line ?? 1)}:${String(start?.col ?? 1)}: is not valid YAML (${code.toLowerCase().replaceAll('_', ' ')})`;
    });
    return { value: undefined, written: undefined, problems };
  }
  const problems = new Map<string, string>();
  const report: Report = (keys, what) => {
    const name = nameOf(keys);
    // The first problem of a key is the cause of the others.
    if (!problems.has(name)) problems.set(name, `${at(keys)}${name} ${what}`);
  };
  let written: unknown;
  try {
    written = expand(document.toJS() as unknown, environment, [], report);
  } catch {
    // An alias of nothing, of too much, or of itself.
    const problem = `${path}: is not valid YAML (an alias, *name, that cannot be resolved)`;
    return { value: undefined, written: undefined, problems: [problem] };
  }
  const checked = schema.safeParse(written);
  for (const issue of checked.error?.issues ?? []) reportIssue(issue, report);
  return {
    value: problems.size === 0 ? checked.data : undefined,
    problems: [...problems.values()],
    written,
  };
}

/** A path as written in a file, relative to that file. */
export function relativeTo(file: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(file), path);
}

type Report = (keys: readonly PropertyKey[], what: string) => void;

function expand(
  value: unknown,
  environment: Environment,
  at: readonly PropertyKey[],
  report: Report,
): unknown {
  if (Array.isArray(value)) {
    return value.map((entry, index) => expand(entry, environment, [...at, index], report));
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [
        key,
        expand(entry, environment, [...at, key], report),
      ]),
    );
  }
  if (typeof value !== 'string') return value;
  const expanded = value.replace(/\$\$|\$\{(\w+)\}|\$\{/g, (match, name: string | undefined) => {
    if (match === '$$') return '$';
    const variable = environment[name ?? ''];
    if (name === undefined) report(at, 'has a ${ that is not ${NAME}; a dollar sign is $$');
    else if (variable === undefined) report(at, `needs the variable ${name}, which is not set`);
    return variable ?? match;
  });
  return /^\$\{\w+\}$/.test(value) ? new Variable(expanded) : expanded;
}

function reportIssue(issue: z.core.$ZodIssue, report: Report): void {
  if (issue.code !== 'unrecognized_keys') {
    report(issue.path, issue.message);
    return;
  }
  for (const key of issue.keys) report([...issue.path, key], 'is not a known key');
}

function nameOf(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'the file';
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');
}

// Of the key itself, or of what it is missing from.
function position(document: Document, lines: LineCounter, path: readonly PropertyKey[]): string {
  for (let depth = path.length; depth >= 0; depth -= 1) {
    const found: unknown =
      depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    const range = (found as { range?: readonly number[] } | null | undefined)?.range;
    if (range?.[0] === undefined) continue;
    const { line, col } = lines.linePos(range[0]);
    return `:${line}:${col}`;
  }
  return '';
}
