import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { didYouMean } from '../did-you-mean.ts';
import { placesOf } from './misplaced-keys.ts';
import { Variable } from './yaml-keys.ts';
import { syntaxProblem } from './yaml-syntax.ts';

/** Environment variables, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The result of reading a configuration file: its value, or its problems, one line each. */
export interface YamlFile<T> {
  readonly value: T | undefined;
  readonly problems: readonly string[];
  /** The unchecked content. It names the next file even if this one has problems. */
  readonly written: unknown;
}

/**
 * Reads a YAML file, replaces each `${NAME}` by the variable and `$$` by a dollar sign, and checks the result against the schema.
 * No problem contains a value of the file, which could be a secret. `advice` follows the problem of a missing file.
 */
export function readYamlFile<S extends z.ZodType>(
  path: string,
  schema: S,
  environment: Environment,
  advice = '',
): YamlFile<z.output<S>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const rest = isMissing && advice !== '' ? `: ${advice}` : '';
    const problem = `${path}: cannot be read (${reasonOf(error)})${rest}`;
    return { value: undefined, written: undefined, problems: [problem] };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const at = (keys: readonly PropertyKey[]): string =>
    `${path}${position(document, lines, keys)}: `;
  const invalid = syntaxProblem(document, lines, text);
  if (invalid !== undefined) {
    return { value: undefined, written: undefined, problems: [`${path}${invalid}`] };
  }
  const problems = new Map<string, string>();
  const report: Report = (keys, what) => {
    const name = nameOf(keys);
    // Reports only the first problem of a key, which usually causes the others.
    if (!problems.has(name)) problems.set(name, `${at(keys)}${name} ${what}`);
  };
  // No limit: an alias repeats an object, and `expand` copies each object once.
  const parsed = document.toJS({ maxAliasCount: -1 }) as unknown;
  const written = expand(parsed, [], { environment, report, expanded: new Map() });
  const checked = schema.safeParse(written);
  for (const issue of checked.error?.issues ?? []) reportIssue(issue, { report, schema });
  return {
    value: problems.size === 0 ? checked.data : undefined,
    problems: [...problems.values()],
    written,
  };
}

/** Returns the path. Resolves a relative one against the folder of the file that contains it. */
export function relativeTo(file: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(file), path);
}

/** Returns the symbol and the meaning of a system error, such as `ENOENT: no such file or directory`. */
export function reasonOf(error: unknown): string {
  const { errno = 0, code = 'unknown error' } = error as NodeJS.ErrnoException;
  return getSystemErrorMap().get(errno)?.join(': ') ?? code;
}

type Report = (keys: readonly PropertyKey[], what: string) => void;

/** The other inputs of `expand`. */
interface Expansion {
  readonly environment: Environment;
  readonly report: Report;
  /** The expanded groups and lists, by the original: an alias repeats the same object. */
  readonly expanded: Map<object, unknown>;
}

function expand(value: unknown, at: readonly PropertyKey[], expansion: Expansion): unknown {
  if (typeof value === 'string') return expandText(value, at, expansion);
  if (typeof value !== 'object' || value === null) return value;
  const { expanded } = expansion;
  if (expanded.has(value)) return expanded.get(value);
  const copy: unknown = Array.isArray(value)
    ? value.map((entry, index) => expand(entry, [...at, index], expansion))
    : Object.fromEntries(
        Object.entries(value).map(([key, entry]) => [key, expand(entry, [...at, key], expansion)]),
      );
  expanded.set(value, copy);
  return copy;
}

function expandText(
  value: string,
  at: readonly PropertyKey[],
  { environment, report }: Expansion,
): unknown {
  const expanded = value.replace(/\$\$|\$\{(\w+)\}|\$\{/g, (match, name: string | undefined) => {
    if (match === '$$') return '$';
    const variable = environment[name ?? ''];
    if (name === undefined) report(at, 'has a ${ that is not ${NAME}; a dollar sign is $$');
    else if (variable === undefined) report(at, `needs the variable ${name}, which is not set`);
    return variable ?? match;
  });
  return /^\$\{\w+\}$/.test(value) ? new Variable(expanded) : expanded;
}

function reportIssue(
  issue: z.core.$ZodIssue,
  to: { readonly report: Report; readonly schema: z.ZodType },
  above: readonly PropertyKey[] = [],
): void {
  const { report, schema } = to;
  const path = [...above, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = issue.message.split(' ');
    for (const key of issue.keys) {
      const meant = placesOf(key, nameOf(path), schema) || didYouMean(key, known);
      report([...path, key], `is not a known key${meant}`);
    }
    return;
  }
  const within = issue.code === 'invalid_union' ? issue.errors.find(isAboutKeys) : undefined;
  if (within === undefined) report(path, issue.message);
  else for (const inner of within) reportIssue(inner, to, path);
}

/** Returns true for the problems of a group's keys. They describe the value better than the problem of a union does. */
function isAboutKeys(issues: readonly z.core.$ZodIssue[]): boolean {
  return issues.every(({ code, path }) => code === 'unrecognized_keys' || path.length > 0);
}

function nameOf(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'the file';
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');
}

/** Returns the position of a key. A missing key has the position of its group. */
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
