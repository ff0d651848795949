import { parse } from 'lossless-json';
import { SessionControlError, type ErrorKind } from './errors.ts';
import type { Capabilities, Outcome, Session, TerminatedSession } from './session.ts';
import type { Termination, Transaction } from './session.ts';
import type { HttpAnswer } from './transport.ts';

/** A page of the list, with the total number of sessions. */
export interface SessionPage {
  readonly sessions: readonly Session[];
  readonly total: number;
  /** The reason why transactions are missing; undefined if they are there, or if the caller did not request them. */
  readonly missingTransactions?: string | undefined;
}

/** The fields of a JSON object. */
export type Fields = Readonly<Record<string, unknown>>;

const OUTCOMES: readonly string[] = [
  'gone',
  'killed',
  'rolling_back',
  'would_kill',
  'stopped',
  'idle',
  'not_found',
  'failed',
  'unknown',
] satisfies readonly Outcome[];

/** Reads the answer to GET …/processes. Throws a `SessionControlError` if the answer is an error or malformed. */
export function pageOf(answer: HttpAnswer): SessionPage {
  const fields = okFieldsOf(answer);
  return {
    sessions: list(answer, fields['processes']).map((entry) => sessionOf(answer, entry)),
    total: Number(integer(answer, fields['total_count'])),
    missingTransactions: missingTransactionsOf(answer, fields),
  };
}

/** Reads the outcomes from an answer to DELETE …/processes, which may be a 500. Throws like `pageOf` if the answer has no outcomes. */
export function terminationOf(answer: HttpAnswer): Termination {
  const fields = fieldsOf(answer);
  const isAccounted = answer.status === 500 && Array.isArray(fields['processes_unknown']);
  if (answer.status !== 200 && !isAccounted) throw errorOf(answer, fields);
  const ids = (name: string): bigint[] =>
    list(answer, fields[name] ?? []).map((id) => integer(answer, id));
  const applied = /(?:^|,)\s*wait=(\d+)/.exec(header(answer, 'preference-applied') ?? '')?.[1];
  const requestId = header(answer, 'x-request-id');
  return {
    killed: ids('processes_killed'),
    notFound: ids('processes_not_found'),
    failed: ids('processes_failed'),
    unknown: ids('processes_unknown'),
    sessions: list(answer, fields['processes'] ?? []).map((entry) => terminatedOf(answer, entry)),
    trouble: isAccounted ? text(answer, fields['error_msg']) : undefined,
    missingTransactions: missingTransactionsOf(answer, fields),
    waitedSeconds: applied === undefined ? undefined : Number(applied),
    requestIds: requestId === undefined ? [] : [requestId],
  };
}

/** Reads the answer to GET …/capabilities. Throws like `pageOf`. */
export function capabilitiesOf(answer: HttpAnswer): Capabilities {
  const fields = okFieldsOf(answer);
  const optional = <T>(name: string, read: (answer: HttpAnswer, value: unknown) => T) =>
    fields[name] === null || fields[name] === undefined ? undefined : read(answer, fields[name]);
  return {
    reachable: flag(answer, fields['reachable']),
    connected: optional('connected', flag),
    mainPort: text(answer, fields['main_port']),
    adminPort: text(answer, fields['admin_port']),
    flavour: optional('flavour', text),
    version: optional('version', text),
    missingGrants: optional('missing_grants', (from, value) =>
      list(from, value).map((grant) => text(from, grant)),
    ),
    rollbackView: optional('rollback_view', flag),
    secondOpinion: optional('second_opinion', flag),
    cutHosts: optional('cut_hosts', (from, value) => Number(integer(from, value))),
    sources: optional('sources', texts),
    optionalGrants: optional('optional_grants', (from, value) =>
      list(from, value).map((grant) => text(from, grant)),
    ),
  };
}

/** Returns the JSON object of a 200, with integers as bigints. Throws a `SessionControlError` if the answer is an error or malformed. */
export function okFieldsOf(answer: HttpAnswer): Fields {
  const fields = fieldsOf(answer);
  if (answer.status !== 200) throw errorOf(answer, fields);
  return fields;
}

/** Returns the JSON object of an answer, with integers as bigints. Returns an empty object for an error answer that holds no JSON object. */
export function fieldsOf(answer: HttpAnswer): Fields {
  try {
    const value = parse(answer.text, undefined, { parseNumber: exact });
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Fields;
  } catch {
    // The code below handles this case: an error page of a proxy is no JSON.
  }
  if (answer.status !== 200) return {};
  throw malformed(answer, 'it is no JSON object');
}

/** Returns the error that an answer reports. */
export function errorOf(answer: HttpAnswer, fields: Fields): SessionControlError {
  const { status } = answer;
  const message = fields['error_msg'];
  const code = fields['error_code'];
  const retryAfter = header(answer, 'retry-after') ?? '';
  return new SessionControlError(
    typeof message === 'string' && message !== '' ? message : `The answer has status ${status}.`,
    {
      kind: kindOf(status),
      status,
      code: typeof code === 'string' ? code : undefined,
      requestId: header(answer, 'x-request-id'),
      retryAfterSeconds: /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined,
      mayHaveArrived: true,
    },
  );
}

function kindOf(status: number): ErrorKind {
  if (status === 401 || status === 403) return 'denied';
  if (status === 429 || status === 503) return 'busy';
  if (status >= 500) return 'failed';
  return status >= 400 ? 'refused' : 'malformed';
}

/** Returns the reason why an answer has no transactions; undefined if it has them, or if the caller did not request them. */
export function missingTransactionsOf(answer: HttpAnswer, { sources }: Fields): string | undefined {
  const { transaction } = sources === undefined ? {} : record(answer, sources);
  return transaction === undefined ? undefined : text(answer, transaction);
}

/** Reads a transaction; null if there is none, undefined if the answer does not have the field. Throws like `pageOf`. */
export function transactionOf(answer: HttpAnswer, value: unknown): Transaction | null | undefined {
  if (value === null || value === undefined) return value;
  const fields = record(answer, value);
  return {
    state: text(answer, fields['state']),
    seconds: Number(integer(answer, fields['seconds'])),
    rowsLocked: integer(answer, fields['rows_locked']),
    rowsModified: integer(answer, fields['rows_modified']),
  };
}

/** Reads a session. Throws a `SessionControlError` if it is malformed. */
export function sessionOf(answer: HttpAnswer, entry: unknown): Session {
  const fields = record(answer, entry);
  return {
    id: integer(answer, fields['id']),
    user: text(answer, fields['user']),
    host: text(answer, fields['host']),
    db: text(answer, fields['db']),
    command: text(answer, fields['command']),
    time: Number(integer(answer, fields['time'])),
    state: text(answer, fields['state']),
    info: text(answer, fields['info']),
    ...(fields['transaction'] !== undefined && {
      transaction: transactionOf(answer, fields['transaction']),
    }),
  };
}

function terminatedOf(answer: HttpAnswer, entry: unknown): TerminatedSession {
  const fields = record(answer, entry);
  const outcome = text(answer, fields['outcome']);
  if (!OUTCOMES.includes(outcome)) throw malformed(answer, 'it has an unknown outcome');
  const id = integer(answer, fields['id']);
  const open = fields['transaction_open'];
  const [rows, seconds] = [fields['rows_left'], fields['seconds_left']];
  const more = {
    ...(open !== undefined && { transactionOpen: flag(answer, open) }),
    ...(rows !== undefined && { rowsLeft: integer(answer, rows) }),
    ...(seconds !== undefined && { secondsLeft: Number(integer(answer, seconds)) }),
  };
  if (fields['user'] === undefined) return { id, outcome: outcome as Outcome, ...more };
  // A DELETE returns no statements.
  const session = sessionOf(answer, { ...fields, info: '' });
  const { user, host, db, command, time, state, transaction } = session;
  const shown = { id, user, host, db, command, time, state, outcome: outcome as Outcome };
  return { ...shown, ...(transaction !== undefined && { transaction }), ...more };
}

function exact(digits: string): bigint | number {
  // A longer number is no id, and BigInt would need quadratic time for it.
  return /^-?\d{1,20}$/.test(digits) ? BigInt(digits) : Number(digits);
}

/** Reads a list. This function and the next ones throw a `SessionControlError` if the value is of another type. */
export function list(answer: HttpAnswer, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(answer, 'a list is missing');
  return value;
}

/** Reads an object. */
export function record(answer: HttpAnswer, value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw malformed(answer, 'an object is missing');
  return value as Fields;
}

/** Reads an integer. */
export function integer(answer: HttpAnswer, value: unknown): bigint {
  if (typeof value !== 'bigint') throw malformed(answer, 'an integer is missing');
  return value;
}

/** Reads a string. */
export function text(answer: HttpAnswer, value: unknown): string {
  if (typeof value !== 'string') throw malformed(answer, 'a string is missing');
  return value;
}

/** Reads an object of strings. */
export function texts(answer: HttpAnswer, value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(record(answer, value)).map(([name, one]) => [name, text(answer, one)]),
  );
}

/** Reads a boolean. */
export function flag(answer: HttpAnswer, value: unknown): boolean {
  if (typeof value !== 'boolean') throw malformed(answer, 'a boolean is missing');
  return value;
}

function malformed(answer: HttpAnswer, why: string): SessionControlError {
  return new SessionControlError(`The answer is not one of session-control: ${why}.`, {
    kind: 'malformed',
    status: answer.status,
    requestId: header(answer, 'x-request-id'),
    mayHaveArrived: true,
  });
}

function header({ headers }: HttpAnswer, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
