import { describe, expect, it } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { serviceFile } from '../../src/config/service-file.ts';
import { nodeDefaults, nodesFile } from '../../src/config/nodes-file.ts';
import { Home } from '../cli/home.ts';

const CONFIGURATION = readFileSync('docs/configuration.md', 'utf8');

/** The row of a key in docs/configuration.md: its default, and all names in the row. */
interface Row {
  readonly default: string;
  readonly names: readonly string[];
}

/** Returns the rows of the table whose first column has this title, by key. */
function tableOf(head: string): ReadonlyMap<string, Row> {
  const begin = CONFIGURATION.indexOf(`| ${head} | default |`);
  const [table = ''] = CONFIGURATION.slice(begin).split('\n\n', 1);
  return new Map(
    table
      .split('\n')
      .slice(2)
      .flatMap((line) => {
        const [, first = '', given = ''] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
        const row = { default: given.replace(/`/g, ''), names: line.match(/\w+/g) ?? [] };
        return [...first.matchAll(/`([\w.]+)`/g)].map(([, key = '']) => [key, row] as const);
      }),
  );
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

/** Returns the keys below a key, with their schemas. */
function keysBelow({
  properties,
  items,
  anyOf = [],
}: Schema): readonly (readonly [string, Schema])[] {
  return [
    ...Object.entries(properties ?? {}),
    ...(items ? keysBelow(items) : []),
    ...anyOf.flatMap(keysBelow),
  ];
}

/** Returns the keys that have no row, and that the row of their group does not name. */
function withoutRow(schema: Schema, rows: ReadonlyMap<string, Row>, group = ''): string[] {
  return keysBelow(schema).flatMap(([name, below]) => {
    const key = group === '' ? name : `${group}.${name}`;
    const isKnown = rows.has(key) || rows.get(group)?.names.includes(name) === true;
    const isGroup = keysBelow(below).length > 0;
    return [...(isKnown || isGroup ? [] : [key]), ...withoutRow(below, rows, key)];
  });
}

function find(schema: Schema, key: string): Schema | undefined {
  return key
    .split('.')
    .reduce<Schema | undefined>((group, name) => group?.properties?.[name], schema);
}

function jsonSchemaOf(file: z.ZodType): Schema {
  return z.toJSONSchema(file, { io: 'input', unrepresentable: 'any' }) as Schema;
}

const service = jsonSchemaOf(serviceFile('service.yaml'));
const node =
  jsonSchemaOf(nodesFile('nodes.yaml', nodeDefaults.parse(undefined))).properties?.['nodes']
    ?.items ?? {};

describe.each([
  ['service.yaml', service, tableOf('key')],
  ['nodes.yaml', node, tableOf('key of a node')],
] as const)('the keys of %s', (name, schema, rows) => {
  it('are exactly those in the document', () => {
    expect(withoutRow(schema, rows)).toEqual([]);
    expect([...rows.keys()].filter((key) => find(schema, key) === undefined)).toEqual([]);
  });

  it('are all in the example file', () => {
    const example = readFileSync(`config/${name}`, 'utf8');
    const names = [...rows.keys()].map((key) => key.split('.').at(-1) ?? '');
    expect(names.filter((key) => !new RegExp(`\\b${key}\\b`).test(example))).toEqual([]);
  });
});

describe('the defaults in docs/configuration.md', () => {
  const least = serviceFile('service.yaml').parse({
    server: { port: 1 },
    registry: { file: 'nodes.yaml' },
    identity: { keystone: { endpoint: 'http://iam' } },
    audit: { file: 'audit.jsonl' },
    metrics: { port: 1 },
  });
  const scalars = [...tableOf('key')].flatMap(([key, row]) => {
    const value = key
      .split('.')
      .reduce<unknown>(
        (group, name) => (group as Record<string, unknown> | undefined)?.[name],
        least,
      );
    const isGiven = !['required', 'off', '', 'in memory', 'one of the three'].includes(row.default);
    return isGiven && typeof value !== 'object' ? [{ key, row, value: JSON.stringify(value) }] : [];
  });

  it('are more than a dozen', () => {
    expect(scalars.length).toBeGreaterThan(12);
  });

  it.each(scalars)('are those of the service: $key', ({ row, value }) => {
    expect(row.default).toBe(value.replaceAll('"', ''));
  });
});

describe('the configuration file in docs/sessionctl.md', () => {
  it('is valid for sessionctl', async () => {
    const [, block = ''] =
      /^```yaml\n(current: .*?)^```$/ms.exec(readFileSync('docs/sessionctl.md', 'utf8')) ?? [];
    const home = new Home();
    mkdirSync(join(home.folder, '.config/sessionctl'), { recursive: true });
    writeFileSync(home.configFile, block);
    const { code, output } = await home.run(['context', 'list']);
    expect([code, output]).toEqual([0, expect.stringContaining('prod')]);
  });
});
