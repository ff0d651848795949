import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { isAlias, isNode, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import type { z } from 'zod';
import { Variable } from './yaml-keys.ts';

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
 * No problem contains a value of the file, which could be a secret.
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
    // Reports only the first problem of a key, which usually causes the others.
    if (!problems.has(name)) problems.set(name, `${at(keys)}${name} ${what}`);
  };
  const wrongAlias = aliasProblem(document, lines);
  if (wrongAlias !== undefined) {
    return { value: undefined, written: undefined, problems: [`${path}${wrongAlias}`] };
  }
  // No limit: an alias repeats an object, and `expand` copies each object once.
  const parsed = document.toJS({ maxAliasCount: -1 }) as unknown;
  const written = expand(parsed, [], { environment, report, expanded: new Map() });
  const checked = schema.safeParse(written);
  for (const issue of checked.error?.issues ?? []) reportIssue(issue, report);
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

type Report = (keys: readonly PropertyKey[], what: string) => void;

/** Returns the position and the problem of the first alias that stands for nothing or for itself, or undefined. */
function aliasProblem(document: Document, lines: LineCounter): string | undefined {
  const anchors = new Map<string, Node>();
  let problem: string | undefined;
  visit(document, (_key, node, ancestors) => {
    if (!isAlias(node)) {
      if (isNode(node) && node.anchor !== undefined) anchors.set(node.anchor, node);
      return undefined;
    }
    const repeated = anchors.get(node.source);
    const isOfItself = repeated !== undefined && ancestors.includes(repeated);
    if (repeated !== undefined && !isOfItself) return undefined;
    const { line, col } = lines.linePos(node.range?.[0] ?? 0);
    // Without its name: YAML reads an unquoted password that begins with * as an alias.
    const reason = isOfItself
      ? 'the alias here stands for a value that holds it'
      : 'the alias here stands for nothing: quote a text that begins with *, or define the anchor before';
    problem = `:${line}:${col}: ${reason}`;
    return visit.BREAK;
  });
  return problem;
}

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
