import type { Deadline } from './deadline.ts';
import type { Session } from './session.ts';
import type { Outcome } from './termination.ts';

/**
 * A session that a caller ended, or tried to end, as the audit has it: `time` is that of the kill, and `info` is empty unless the audit
 * records statements. Other texts that the audit does not have are empty too.
 */
export interface KilledSession extends Session {
  readonly instanceId: string;
  readonly nodeId: string;
  /** The time of the intent, in milliseconds since 1970. */
  readonly killTime: number;
  /** `unknown` also if the audit has no outcome. */
  readonly outcome: Outcome;
  readonly scope: 'session' | 'statement';
  readonly caller: string;
  readonly reason: string | undefined;
  readonly requestId: string;
  /** The task that ended the session; undefined if a caller did. */
  readonly taskId: string | undefined;
}

/** The kills that a caller requests: those of one instance with `from` <= `killTime` < `until`. */
export interface HistoryFilter {
  readonly projectId: string;
  readonly instanceId: string;
  readonly from: number;
  readonly until: number;
  readonly nodeId?: string | undefined;
  readonly user?: string | undefined;
  readonly caller?: string | undefined;
}

/** Kills from one source. */
export interface HistoryPart {
  readonly kills: readonly KilledSession[];
  /** Every wanted kill from this time on is in `kills`, in milliseconds since 1970; -Infinity if all are. */
  readonly readFrom: number;
  /** False if a part of the source cannot be read. */
  readonly isReadable: boolean;
}

/** The kills that were read, the newest first. */
export interface History {
  readonly kills: readonly KilledSession[];
  /** Undefined if everything was read. Else every wanted kill from this time on is in `kills`. */
  readonly readFrom: number | undefined;
  /** True if kills by other replicas can be missing. */
  readonly isReplicaOnly: boolean;
}

/** The kills that were recorded. `AuditHistory` in `audit/audit-history.ts` implements it. */
export interface KillHistory {
  /** Reads at most about 10,000 records, for at most about 1 s. Throws `overloaded` if too many reads wait. */
  read(filter: HistoryFilter, deadline: Deadline): Promise<History>;
}

/** A period in milliseconds since 1970, without its end. */
export interface Period {
  readonly from: number;
  readonly until: number;
}

/** Receives lines of the audit. */
export interface LineReader {
  /** Reads a line, and returns the number of sessions in it. */
  readonly add: (line: string) => number;
  /** True while a kill has no outcome. */
  readonly isUnresolved: () => boolean;
}

/** The period that a read of the shared records covered. */
export interface SharedRead {
  /** Every record of the period from this time on was read; -Infinity if all were. */
  readonly readFrom: number;
  /** The time of the oldest shared record; Infinity if there is none. */
  readonly since: number;
}

/** The records of all replicas. `RedisAuditStream` in `store/redis-audit-stream.ts` implements it. */
export interface SharedRecords {
  /** Adds a line of the audit soon. Never throws. `time` is in milliseconds since 1970. */
  share(line: string, time: number): void;
  /** Adds those lines that are missing, the oldest first. */
  shareMissing(lines: readonly { readonly line: string; readonly time: number }[]): Promise<void>;
  /** Reads the records of the period, the newest first, and later outcomes. Resolves to undefined if they cannot be read. */
  read(period: Period, reader: LineReader, budget: ReadBudget): Promise<SharedRead | undefined>;
}

const MAX_RECORDS = 10_000;
/** The longest time of one read, in milliseconds. */
export const MAX_READ_MS = 1000;

/** The limit of one read: 10,000 records, or 1 s. */
export class ReadBudget {
  readonly #begin = performance.now();
  readonly #maxMs: number;
  #left: number;

  /** Begins now. A request that reads several sources gives each of them a `share` of the records. */
  constructor(share = 1, maxMs = MAX_READ_MS) {
    [this.#left, this.#maxMs] = [MAX_RECORDS * share, maxMs];
  }

  /** The number of records that may still be read. */
  get left(): number {
    return this.#left;
  }

  /** True once half of the time is over. */
  get isHalfOver(): boolean {
    return performance.now() - this.#begin > this.#maxMs / 2;
  }

  /** True once the time is over. */
  get isOver(): boolean {
    return performance.now() - this.#begin > this.#maxMs;
  }

  /** Counts records that were read. */
  spend(records: number): void {
    this.#left -= records;
  }
}

/** Returns the kills of several sources, each kill once, the newest first. A source that has the outcome of a kill decides it. */
export function mergeParts(parts: readonly HistoryPart[]): Pick<History, 'kills' | 'readFrom'> {
  const merged = new Map<string, KilledSession>();
  // An older kill can be missing in a source that was not read to the end.
  const readFrom = Math.max(...parts.map((part) => part.readFrom));
  for (const kill of parts.flatMap(({ kills }) => kills)) {
    if (kill.killTime < readFrom) continue;
    const key = `${kill.requestId} ${kill.nodeId} ${kill.id}`;
    const known = merged.get(key);
    if (known === undefined || known.outcome === 'unknown') merged.set(key, kill);
  }
  const isWhole = readFrom === -Infinity && parts.every(({ isReadable }) => isReadable);
  return {
    kills: [...merged.values()].sort(newestFirst),
    readFrom: isWhole ? undefined : readFrom,
  };
}

function newestFirst(one: KilledSession, other: KilledSession): number {
  if (one.killTime !== other.killTime) return other.killTime - one.killTime;
  // Sessions of one request stay together, so that pages do not depend on which source was read first.
  if (one.requestId !== other.requestId) return one.requestId < other.requestId ? -1 : 1;
  return one.id < other.id ? -1 : Number(one.id > other.id);
}
