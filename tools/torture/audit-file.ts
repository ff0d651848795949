import { parse } from 'lossless-json';
import { groupBy } from './group.ts';

/** A session of an intent record or an outcome record. */
export interface AuditEntry {
  /** The node id and the session id. */
  readonly key: string;
  /** The line number, from 1. */
  readonly line: number;
  /** The time in milliseconds of this process's `performance.now()`. */
  readonly at: number;
  readonly requestId: string | undefined;
  readonly host: string | undefined;
  readonly outcome: string | undefined;
}

/** The content of an audit file, with intents and outcomes by node and id. */
export interface AuditFile {
  readonly intents: ReadonlyMap<string, readonly AuditEntry[]>;
  readonly outcomes: ReadonlyMap<string, readonly AuditEntry[]>;
  /** The numbers of the lines that are no record. */
  readonly torn: readonly number[];
  /** The numbers of the torn lines that no start of the service follows. */
  readonly misplaced: readonly number[];
}

interface AuditRecord {
  readonly record: string;
  readonly time: string;
  readonly request_id?: string;
  readonly node_id?: string;
  readonly sessions?: readonly {
    readonly id: bigint;
    readonly host?: string;
    readonly outcome?: string;
  }[];
}

/** Parses an audit file. */
export function readAudit(text: string): AuditFile {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const records = lines.map(recordIn);
  const torn = records.flatMap((record, index) => (record === undefined ? [index + 1] : []));
  const isLast = (line: number): boolean => line === lines.length;
  const misplaced = torn.filter((line) => !isLast(line) && records[line]?.record !== 'started');
  return {
    intents: entriesOf(records, 'intent'),
    outcomes: entriesOf(records, 'outcome'),
    torn,
    misplaced,
  };
}

function recordIn(text: string): AuditRecord | undefined {
  try {
    const value = parse(text, undefined, { parseNumber: (digits) => BigInt(digits) });
    const isRecord = typeof value === 'object' && value !== null && 'record' in value;
    return isRecord ? (value as AuditRecord) : undefined;
  } catch {
    return undefined;
  }
}

function entriesOf(
  records: readonly (AuditRecord | undefined)[],
  kind: string,
): ReadonlyMap<string, readonly AuditEntry[]> {
  const entries = records.flatMap((record, index) => {
    if (record?.record !== kind) return [];
    const { time, request_id: requestId, node_id: nodeId, sessions = [] } = record;
    const at = Date.parse(time) - performance.timeOrigin;
    return sessions.map(({ id, host, outcome }) => ({
      ...{ key: `${String(nodeId)} ${id}`, line: index + 1, at },
      ...{ requestId, host, outcome },
    }));
  });
  return groupBy(entries, ({ key }) => key);
}
