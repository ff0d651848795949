import { stringify as toCsv } from 'csv-stringify/sync';
import { stringify as toJson } from 'lossless-json';
import { stringify as toYaml } from 'yaml';
import { usageError } from './failures.ts';
import type { Session, Transaction } from '../client/index.ts';
import { nodeWord, type ListedSession } from './listing.ts';
import { escaped, visible } from './visible.ts';

export const LIST_FORMATS = ['table', 'wide', 'json', 'yaml', 'csv', 'ids'] as const;
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
  format: Exclude<ListFormat, 'table' | 'wide'>,
  isNodeShown: boolean,
): string {
  switch (format) {
    case 'json':
      return formatJson(sessions.map(recordOf));
    case 'yaml':
      return escaped(
        toYaml(sessions.map(recordOf), {
          defaultStringType: 'QUOTE_DOUBLE',
          defaultKeyType: 'PLAIN',
          lineWidth: 0,
        }),
      );
    case 'csv':
      return formatCsv(sessions);
    case 'ids':
      return sessions
        .map((session) => `${isNodeShown ? `${nodeWord(session)}/` : ''}${session.id}\n`)
        .join('');
  }
}

/** Formats a value as JSON with exact integers. Escapes control characters. */
export function formatJson(value: unknown): string {
  return `${escaped(toJson(value, undefined, 2) ?? '')}\n`;
}

/** Returns the fields of a session in the order of the output. `transaction` is missing if it was not asked for or is not known. */
export function recordOf(session: ListedSession): Record<string, unknown> {
  const { node, nodeName, transaction } = session;
  return {
    node,
    ...fieldsOf(session),
    node_name: nodeName ?? null,
    ...(transaction !== undefined && { transaction: transactionRecord(transaction) }),
  };
}

/** Returns the eight fields of a session as the API names them. */
export function fieldsOf(session: Session): Record<string, bigint | number | string> {
  const { id, user, host, db, command, time, state, info } = session;
  return { id, user, host, db, command, time, state, info };
}

/** Returns a transaction as the API names its fields. */
export function transactionRecord(transaction: Transaction | null): object | null {
  if (transaction === null) return null;
  const { state, seconds, rowsLocked, rowsModified } = transaction;
  return { state, seconds, rows_locked: rowsLocked, rows_modified: rowsModified };
}

function formatCsv(sessions: readonly ListedSession[]): string {
  const rows = sessions.map((session) => {
    const { node, nodeName, transaction } = session;
    const values = [
      ...[node, ...Object.values(fieldsOf(session)), nodeName ?? ''],
      ...[transaction?.state, transaction?.seconds],
      ...[transaction?.rowsLocked, transaction?.rowsModified],
    ];
    return values;
  });
  return csvOf([CSV_COLUMNS, ...rows]);
}

/** Formats rows as CSV. Escapes control characters, and formulas: a spreadsheet would run a statement that begins with =. */
export function csvOf(rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) =>
    row.map((value) => (typeof value === 'string' ? visible(value) : value)),
  );
  return toCsv(cells, { escape_formulas: true });
}

const CSV_COLUMNS = [
  ...['node', 'id', 'user', 'host', 'db', 'command', 'time', 'state', 'info', 'node_name'],
  ...['transaction_state', 'transaction_seconds', 'rows_locked', 'rows_modified'],
];
