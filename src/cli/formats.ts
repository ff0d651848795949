import { stringify as toCsv } from 'csv-stringify/sync';
import { stringify as toJson } from 'lossless-json';
import { stringify as toYaml } from 'yaml';
import { usageError } from './failures.ts';
import type { ListedSession } from './listing.ts';
import { escaped, visible } from './visible.ts';

export const LIST_FORMATS = ['table', 'json', 'yaml', 'csv', 'ids'] as const;
export type ListFormat = (typeof LIST_FORMATS)[number];

/** Checks the name of a format. Throws a usage error if the name is not one of the formats. */
export function readFormat<T extends string>(text: string, formats: readonly T[]): T {
  const format = formats.find((known) => known === text);
  if (format !== undefined) return format;
  throw usageError(`The format ${text} is not known.`, `Use one of ${formats.join(', ')}.`);
}

/** Formats sessions for programs. With `isNodeShown`, the format `ids` prints NODE/ID. */
export function formatSessions(
  sessions: readonly ListedSession[],
  format: Exclude<ListFormat, 'table'>,
  isNodeShown: boolean,
): string {
  const records = sessions.map(recordOf);
  switch (format) {
    case 'json':
      return formatJson(records);
    case 'yaml':
      return escaped(
        toYaml(records, {
          defaultStringType: 'QUOTE_DOUBLE',
          defaultKeyType: 'PLAIN',
          lineWidth: 0,
        }),
      );
    case 'csv':
      return formatCsv(records);
    case 'ids':
      return sessions
        .map(({ node, id }) => `${isNodeShown ? `${visible(node)}/` : ''}${id}\n`)
        .join('');
  }
}

/** Formats a value as JSON with exact integers. Escapes control characters. */
export function formatJson(value: unknown): string {
  return `${escaped(toJson(value, undefined, 2) ?? '')}\n`;
}

/** Returns the fields of a session in the order of the output. */
export function recordOf(session: ListedSession): Record<string, bigint | number | string> {
  const { node, id, user, host, db, command, time, state, info } = session;
  return { node, id, user, host, db, command, time, state, info };
}

// escape_formulas: a spreadsheet would run a statement that begins with = as a formula.
function formatCsv(records: readonly Record<string, bigint | number | string>[]): string {
  return toCsv(
    records.map((record) =>
      Object.values(record).map((value) => (typeof value === 'string' ? visible(value) : value)),
    ),
    { header: true, columns: Object.keys(COLUMN_NAMES), escape_formulas: true },
  );
}

const COLUMN_NAMES: Readonly<Record<keyof Omit<ListedSession, 'transaction'>, true>> = {
  node: true,
  id: true,
  user: true,
  host: true,
  db: true,
  command: true,
  time: true,
  state: true,
  info: true,
};
