import { waitOf, type Wait } from './locks.ts';
import type { Session, SessionGroup, SessionSummary } from './session.ts';
import type { HttpAnswer } from './transport.ts';
import { flag, integer, list, missingTransactionsOf, okFieldsOf, record } from './wire.ts';
import { sessionOf, text, texts, type Fields } from './wire.ts';

/** Everything that the service shows about one session. */
export interface SessionDetail extends Session {
  /** True if the node may have truncated the statement. */
  readonly isInfoTruncated: boolean;
  /** The attributes that the client's program reported at the login; undefined if the node does not show them. */
  readonly connectionAttributes: Readonly<Record<string, string>> | undefined;
  readonly waitsFor: readonly Wait[];
  readonly blocks: readonly Wait[];
  /** True if there are more waits than `waitsFor` and `blocks` show. */
  readonly areWaitsTruncated: boolean;
  /** For `transaction`, `connection_attributes`, `row` and `metadata`: `available`, or the reason why it is missing. */
  readonly sources: Readonly<Record<string, string>>;
}

/** Reads the answer to GET …/processes/{process_id}. Throws a `SessionControlError` if the answer is an error or malformed. */
export function detailOf(answer: HttpAnswer): SessionDetail {
  const fields = okFieldsOf(answer);
  const attributes = fields['connection_attributes'];
  const waits = (name: string): Wait[] =>
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
  const fields = okFieldsOf(answer);
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
