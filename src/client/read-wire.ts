import type { LockWait, SessionDetail } from './session.ts';
import type { HttpAnswer } from './transport.ts';
import { errorOf, fieldsOf, flag, integer, list, record, sessionOf, text } from './wire.ts';
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
    connectionAttributes: attributes === undefined ? undefined : textsOf(answer, attributes),
    waitsFor: waits('waits_for'),
    blocks: waits('blocks'),
    areWaitsTruncated: flag(answer, fields['truncated'] ?? false),
    sources: textsOf(answer, fields['sources']),
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

function textsOf(answer: HttpAnswer, value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(record(answer, value)).map(([name, one]) => [name, text(answer, one)]),
  );
}
