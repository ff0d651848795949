import type { HistoryFilter, KilledSession, LineReader } from '../domain/kill-history.ts';
import type { Outcome } from '../domain/termination.ts';
import { recordIn, type AuditRecord, type RecordedSession } from './records.ts';

const OUTCOMES: readonly unknown[] = [
  'killed',
  'not_found',
  'failed',
  'unknown',
] satisfies readonly Outcome[];

/** Finds the kills that pass the filter in lines of the audit, and their outcomes. The lines can be in any order. */
export class KillCollector implements LineReader {
  readonly #filter: HistoryFilter;
  readonly #kills = new Map<string, KilledSession>();
  readonly #outcomes = new Map<string, Outcome>();

  constructor(filter: HistoryFilter) {
    this.#filter = filter;
  }

  readonly add = (line: string): number => {
    // Parsing a line takes far longer. A line contains the id only in this form.
    if (!line.includes(this.#filter.instanceId)) return 1;
    const record = recordIn(line);
    if (record?.project_id !== this.#filter.projectId) return 1;
    if (record.instance_id !== this.#filter.instanceId) return 1;
    if (record.record === 'intent') return this.#addIntent(record);
    if (record.record === 'outcome') this.#addOutcomes(record);
    return 1;
  };

  readonly isUnresolved = (): boolean => {
    for (const key of this.#kills.keys()) if (!this.#outcomes.has(key)) return true;
    return false;
  };

  /** Returns the ids of the requests with a kill that has no outcome. */
  unresolvedRequests(): ReadonlySet<string> {
    const unresolved = [...this.#kills].filter(([key]) => !this.#outcomes.has(key));
    return new Set(unresolved.map(([, { requestId }]) => requestId));
  }

  /** Returns the kills, in no order. */
  kills(): readonly KilledSession[] {
    return [...this.#kills].map(([key, kill]) => ({
      ...kill,
      outcome: this.#outcomes.get(key) ?? 'unknown',
    }));
  }

  #addIntent(record: AuditRecord): number {
    const sessions = sessionsOf(record);
    const { from, until, nodeId, user, caller } = this.#filter;
    const killTime = Date.parse(record.time);
    if (!(from <= killTime && killTime < until)) return sessions.length;
    if (nodeId !== undefined && nodeId !== record.node_id) return sessions.length;
    if (caller !== undefined && caller !== record.caller) return sessions.length;
    for (const session of sessions) {
      // The caller did not request the end of our own connections.
      if (session.control_connection === true) continue;
      if (user !== undefined && user !== session.user) continue;
      this.#kills.set(keyOf(record, session.id), killOf(record, session, killTime));
    }
    return sessions.length;
  }

  #addOutcomes(record: AuditRecord): void {
    for (const { id, outcome } of sessionsOf(record)) {
      const known = OUTCOMES.includes(outcome) ? (outcome as Outcome) : 'unknown';
      this.#outcomes.set(keyOf(record, id), known);
    }
  }
}

function killOf(record: AuditRecord, session: RecordedSession, killTime: number): KilledSession {
  return {
    instanceId: text(record.instance_id),
    nodeId: text(record.node_id),
    id: session.id,
    user: text(session.user),
    host: text(session.host),
    db: text(session.db),
    command: text(session.command),
    time: typeof session.time === 'bigint' ? session.time : 0n,
    state: text(session.state),
    info: text(session.info),
    killTime,
    outcome: 'unknown',
    scope: record.scope === 'statement' ? 'statement' : 'session',
    caller: text(record.caller),
    reason: typeof record.reason === 'string' ? record.reason : undefined,
    requestId: text(record.request_id),
    taskId: typeof record.task_id === 'string' ? record.task_id : undefined,
  };
}

function keyOf(record: AuditRecord, id: bigint): string {
  return `${text(record.request_id)} ${text(record.node_id)} ${id}`;
}

function sessionsOf({ sessions }: AuditRecord): readonly RecordedSession[] {
  if (!Array.isArray(sessions)) return [];
  return (sessions as readonly (RecordedSession | null)[]).filter(
    (session) => typeof session?.id === 'bigint',
  ) as readonly RecordedSession[];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
