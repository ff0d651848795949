import { setTimeout as pause } from 'node:timers/promises';
import type { Session } from './session.ts';
import type { HttpAnswer } from './transport.ts';
import { flag, integer, list, okFieldsOf, record, sessionOf, text } from './wire.ts';

/**
 * A session that was ended, as the service recorded it: `time` is that of the kill, and `info` is empty unless the service records
 * statements.
 */
export interface KilledSession extends Omit<Session, 'transaction'> {
  readonly instanceId: string;
  readonly nodeId: string;
  /** The time of the record before the kill. */
  readonly killTime: Date;
  /** The outcome: `killed`, `not_found`, `failed`, or `unknown` if the service recorded none. */
  readonly outcome: string;
  /** `statement` if only the statement was ended. */
  readonly scope: string;
  readonly caller: string;
  readonly reason: string | undefined;
  readonly requestId: string;
  /** The task that ended the session; undefined if a caller did. */
  readonly taskId: string | undefined;
}

/** The kills to read. */
export interface HistoryOptions {
  /** The beginning of the period, 24 hours ago by default. */
  readonly since?: Date | undefined;
  /** The end of the period, which is not part of it; now by default. */
  readonly until?: Date | undefined;
  readonly nodeId?: string | undefined;
  readonly user?: string | undefined;
  readonly caller?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each page with the number of kills read. */
  readonly onProgress?: ((read: number) => void) | undefined;
}

/** The kills of a period, the newest first. */
export interface KillHistory {
  readonly kills: readonly KilledSession[];
  /** False if the service could not read all of its records. */
  readonly isComplete: boolean;
  /** True if kills by other replicas of the service can be missing. */
  readonly isReplicaOnly: boolean;
}

/** A page of the history. */
export interface HistoryPage {
  readonly kills: readonly KilledSession[];
  readonly total: number;
  readonly isComplete: boolean;
  /** Every kill from this time on is counted, in milliseconds since 1970. */
  readonly readFrom: number | undefined;
  readonly isReplicaOnly: boolean;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const PAGE_SIZE = 100;
/** The service completes its index meanwhile. */
const RETRY_MS = 500;
const MAX_RETRIES = 10;

/** Reads the answer to GET …/process/kill/history. Throws a `SessionControlError` if the answer is an error or malformed. */
export function historyPageOf(answer: HttpAnswer): HistoryPage {
  const fields = okFieldsOf(answer);
  const { read_from: readFrom, replica } = fields;
  return {
    kills: list(answer, fields['killed_sessions']).map((entry) => killOf(answer, entry)),
    total: Number(integer(answer, fields['total_count'])),
    isComplete: flag(answer, fields['complete']),
    readFrom: readFrom === undefined ? undefined : Number(integer(answer, readFrom)),
    isReplicaOnly: replica !== undefined && flag(answer, replica),
  };
}

/** Reads all pages. Where a limit of the service ended a read, the next request continues there. Each kill is in the result once. */
export async function readHistory(
  options: HistoryOptions,
  readPage: (query: string) => Promise<HistoryPage>,
): Promise<KillHistory> {
  // The end is fixed, so that a new kill does not move the others to other pages.
  let end = (options.until ?? new Date()).getTime();
  const since = options.since ?? new Date(end - DAY_MS);
  const found = new Map<string, KilledSession>();
  let isReplicaOnly = false;
  for (let retries = 0; ;) {
    const part = await readPart({ ...options, since }, end, found, readPage);
    isReplicaOnly ||= part.isReplicaOnly;
    const { isComplete, readFrom, oldest } = part;
    // Without `readFrom` no limit ended the read: a part of the records cannot be read.
    if (isComplete || readFrom === undefined || retries === MAX_RETRIES) {
      return { kills: [...found.values()], isComplete, isReplicaOnly };
    }
    const next = oldest === undefined ? readFrom : oldest.killTime.getTime() + 1;
    if (next < end) {
      [end, retries] = [next, 0];
    } else {
      retries += 1;
      await pause(RETRY_MS, undefined, { signal: options.signal });
    }
  }
}

type Part = Pick<HistoryPage, 'isComplete' | 'readFrom' | 'isReplicaOnly'>;

/** Adds all kills before `end` that one read of the service finds, and returns the oldest one. */
async function readPart(
  options: HistoryOptions,
  end: number,
  found: Map<string, KilledSession>,
  readPage: (query: string) => Promise<HistoryPage>,
): Promise<Part & { readonly oldest: KilledSession | undefined }> {
  let oldest: KilledSession | undefined;
  for (let page = 1, read = 0; ; page += 1) {
    const { kills, total, ...part } = await readPage(queryOf(options, end, page));
    for (const kill of kills) found.set(`${kill.requestId} ${kill.nodeId} ${kill.id}`, kill);
    oldest = kills.at(-1) ?? oldest;
    read += kills.length;
    options.onProgress?.(found.size);
    if (kills.length === 0 || read >= total) return { ...part, oldest };
  }
}

/** Returns the query of a page, from 1 on, of the kills before `end`, in milliseconds since 1970. */
function queryOf({ since, nodeId, user, caller }: HistoryOptions, end: number, page: number) {
  const query = new URLSearchParams({
    start_time: (since?.getTime() ?? end - DAY_MS).toString(),
    end_time: end.toString(),
    page_num: page.toString(),
    page_size: PAGE_SIZE.toString(),
    ...(nodeId !== undefined && { node_id: nodeId }),
    ...(user !== undefined && { user }),
    ...(caller !== undefined && { caller }),
  });
  // A signature covers the blank as %20.
  return query.toString().replaceAll('+', '%20');
}

function killOf(answer: HttpAnswer, entry: unknown): KilledSession {
  const fields = record(answer, entry);
  const optional = (name: string): string | undefined =>
    fields[name] === null ? undefined : text(answer, fields[name]);
  return {
    ...sessionOf(answer, { ...fields, id: fields['session_id'] }),
    instanceId: text(answer, fields['instance_id']),
    nodeId: text(answer, fields['node_id']),
    killTime: new Date(Number(integer(answer, fields['kill_time']))),
    outcome: text(answer, fields['outcome']),
    scope: text(answer, fields['scope']),
    caller: text(answer, fields['caller']),
    reason: optional('reason'),
    requestId: text(answer, fields['request_id']),
    taskId: optional('task_id'),
  };
}
