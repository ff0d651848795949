import { parse, stringify } from 'lossless-json';
import type { NodeKey } from '../domain/node.ts';
import type { Conclusion, Denial, Intent } from '../domain/termination.ts';
import { escapeControlCharacters } from '../escape-control-characters.ts';

/** Returns the record of sessions that are about to be killed, with their statements if `recordsStatements` is true. */
export function intentRecord(
  {
    origin,
    node,
    sessions,
    scope = 'session',
    areOurs = false,
  }: Omit<Intent, 'scope'> & { readonly scope?: Intent['scope'] | 'session' },
  recordsStatements = false,
): object {
  const { requestId, traceId, caller, proof, address, reason } = origin;
  return {
    record: 'intent',
    time: now(),
    request_id: requestId,
    trace_id: traceId,
    ...{ caller, proof, address },
    ...nodeFields(node),
    reason,
    scope,
    sessions: sessions.map(({ id, user, host, db, command, time, state, info }) => ({
      ...{ id, user, host, db, command, time, state },
      ...(recordsStatements && { info }),
      ...(areOurs && { control_connection: true }),
    })),
  };
}

/** Returns the record of the outcomes of an intent. */
export function outcomeRecord({ origin, node, outcomes, scope }: Conclusion): object {
  return {
    record: 'outcome',
    time: now(),
    request_id: origin.requestId,
    trace_id: origin.traceId,
    ...nodeFields(node),
    scope,
    sessions: outcomes.map(({ id, outcome }) => ({ id, outcome })),
  };
}

/** Returns the record of a request that was refused. */
export function deniedRecord(denial: Denial): object {
  const { requestId, traceId, caller, proof, address, method, path, status, errorCode } = denial;
  return {
    record: 'denied',
    time: now(),
    request_id: requestId,
    trace_id: traceId,
    ...{ caller, proof, address, method, path, status },
    error_code: errorCode,
  };
}

/** Returns a record as a line of the file, without its line break. */
export function lineOf(record: object): string {
  return escapeControlCharacters(stringify(record) ?? '');
}

/** Returns the time for a record, by the wall clock in UTC. */
export function now(): string {
  return new Date().toISOString();
}

function nodeFields({ projectId, instanceId, nodeId }: NodeKey): object {
  return { project_id: projectId, instance_id: instanceId, node_id: nodeId };
}

/** A request whose intent has no outcome: it still runs, the service died, or another file holds the outcome. */
export interface OpenRequest {
  readonly requestId: string;
  readonly nodeId: string;
  readonly time: string;
  readonly ids: readonly bigint[];
}

/** The content of an audit file, and its faults. */
export interface AuditReport {
  /** The number of records of each kind. */
  readonly records: Readonly<Record<string, number>>;
  /** The numbers, from 1, of lines that are not records; usually a crash or a full disk cut them short. */
  readonly torn: readonly number[];
  readonly withoutOutcome: readonly OpenRequest[];
  /** Outcomes without an earlier intent, by line. Failed sessions are not among them. */
  readonly withoutIntent: readonly { readonly line: number; readonly id: bigint }[];
}

type Unchecked<Name extends string> = Readonly<Partial<Record<Name, unknown>>>;

/** A session in a record. Another version of the service can have written it, so texts can be missing. */
export interface RecordedSession extends Unchecked<
  'user' | 'host' | 'db' | 'command' | 'time' | 'state' | 'info' | 'control_connection'
> {
  readonly id: bigint;
  readonly outcome?: string;
}

/** A line of the audit. Another version of the service can have written it, so fields can be missing. */
export interface AuditRecord extends Unchecked<
  'project_id' | 'instance_id' | 'caller' | 'reason' | 'scope' | 'task_id'
> {
  readonly record: string;
  readonly time: string;
  readonly request_id?: string;
  readonly node_id?: string;
  readonly sessions?: readonly RecordedSession[];
}

/** Reads an audit file line by line. After a rotation, a file can hold outcomes whose intents are in the file before. */
export async function verify(lines: AsyncIterable<string>): Promise<AuditReport> {
  const records: Record<string, number> = {};
  const torn: number[] = [];
  const withoutIntent: { line: number; id: bigint }[] = [];
  const open = new Map<string, OpenRequest>();
  let line = 0;
  for await (const text of lines) {
    line += 1;
    const record = recordIn(text);
    if (record === undefined) {
      torn.push(line);
      continue;
    }
    records[record.record] = (records[record.record] ?? 0) + 1;
    const { request_id: requestId = '', node_id: nodeId = '', time, sessions = [] } = record;
    const ids = sessions.map(({ id }) => id);
    const key = `${requestId} ${nodeId}`;
    const before = open.get(key);
    if (record.record === 'intent') {
      open.set(key, { requestId, nodeId, time, ids: [...(before?.ids ?? []), ...ids] });
    } else if (record.record === 'outcome') {
      // A session can fail because its intent could not be written.
      for (const { id, outcome } of sessions) {
        const isExpected = before?.ids.includes(id) === true || outcome === 'failed';
        if (!isExpected) withoutIntent.push({ line, id });
      }
      const left = before?.ids.filter((id) => !ids.includes(id)) ?? [];
      if (before === undefined || left.length === 0) open.delete(key);
      else open.set(key, { ...before, ids: left });
    }
  }
  return { records, torn, withoutOutcome: [...open.values()], withoutIntent };
}

/** Returns the record in a line, with integers as bigints; undefined if the line is torn. */
export function recordIn(text: string): AuditRecord | undefined {
  try {
    const value = parse(text, undefined, { parseNumber: (digits) => BigInt(digits) });
    const isRecord = typeof value === 'object' && value !== null && 'record' in value;
    return isRecord ? (value as AuditRecord) : undefined;
  } catch {
    return undefined;
  }
}
