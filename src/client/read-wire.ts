import type { LockWait, SessionDetail, SessionGroup, SessionSummary } from './session.ts';
import type { HttpAnswer } from './transport.ts';
import { errorOf, fieldsOf, flag, integer, list, missingTransactionsOf } from './wire.ts';
import { record, sessionOf, text, texts } from './wire.ts';
import type { Fields } from './wire.ts';

/** Reads the answer to GET …/processes/{process_id}. Throws a `SessionControlError` if the answer is an error or malformed. */
export function detailOf(answer: HttpAnswer): SessionDetail {
  const fields = fieldsOf(answer);
  if (answer.status !== 200) throw errorOf(answer, fields);
  const attributes = fields['connection_attributes'];
  const waits = (name: string): LockWait[] =>
    list(answer, fields[name]).map((entry) => waitOf(answer, record(answer, entry)));
  return {
    ...sessionOf(answer, fields),
    isInfoTruncated: flag(answer, fields['info_truncated'] ?? false),
    connectionAttributes: attributes === undefined ? undefined : texts(answer, attributes),
    waitsFor: waits('waits_for'),
    blocks: waits('blocks'),
    areWaitsTruncated: flag(answer, fields['truncated'] ?? false),
    sources: texts(answer, fields['sources']),
  };
}

/** Reads the answer to GET …/summary. Throws like `detailOf`. */
export function summaryOf(answer: HttpAnswer): SessionSummary {
  const fields = fieldsOf(answer);
  if (answer.status !== 200) throw errorOf(answer, fields);
  const count = (value: unknown): number => Number(integer(answer, value));
  const { blocked, transactions } = fields;
  const counts = transactions === undefined ? undefined : record(answer, transactions);
  return {
    total: count(fields['total']),
    byCommand: Object.fromEntries(
      Object.entries(record(answer, fields['by_command'])).map(([name, n]) => [name, count(n)]),
    ),
    groups: list(answer, fields['groups']).map((entry) => groupOf(answer, record(answer, entry))),
    other: count(fields['other'] ?? 0n),
    longest: list(answer, fields['longest']).map((entry) => sessionOf(answer, entry)),
    blocked: blocked === undefined ? undefined : count(blocked),
    transactions: counts && {
      open: count(counts['open']),
      longestSeconds: count(counts['longest_seconds']),
    },
    missingTransactions: missingTransactionsOf(answer, fields),
  };
}

function groupOf(answer: HttpAnswer, fields: Fields): SessionGroup {
  return {
    user: text(answer, fields['user']),
    host: text(answer, fields['host']),
    db: text(answer, fields['db']),
    command: text(answer, fields['command']),
    count: Number(integer(answer, fields['count'])),
    maxTime: Number(integer(answer, fields['max_time'])),
  };
}

function waitOf(answer: HttpAnswer, fields: Fields): LockWait {
  const optional = (name: string): string | undefined =>
    fields[name] === undefined ? undefined : text(answer, fields[name]);
  const { waits_for: holder, seconds } = fields;
  return {
    id: integer(answer, fields['id']),
    waitsFor: holder === null ? null : integer(answer, holder),
    kind: text(answer, fields['kind']),
    seconds: seconds === undefined ? undefined : Number(integer(answer, seconds)),
    db: optional('db'),
    table: optional('table'),
    index: optional('index'),
    mode: optional('mode'),
    data: optional('data'),
    name: optional('name'),
  };
}
