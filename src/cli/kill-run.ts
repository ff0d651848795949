import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { NodeAddress, Outcome, SessionControlClient, Termination } from '../client/index.ts';
import type { ListedSession } from './listing.ts';

/** One session and its outcome. */
export interface KillResult {
  readonly session: ListedSession;
  outcome: Outcome;
  /** The rows that its rollback has yet to undo; undefined if the node does not show them. */
  rowsLeft?: bigint | undefined;
  /** The estimated rest of its rollback, in seconds. */
  secondsLeft?: number | undefined;
  /** With the scope `statement`: true if the session has a transaction afterwards; undefined if it is not known. */
  isTransactionOpen?: boolean | undefined;
}

/** The result of a kill on one node. */
export interface NodeKill {
  readonly results: readonly KillResult[];
  readonly trouble: string | undefined;
  readonly requestIds: readonly string[];
}

/** How the sessions of one node are ended. */
export interface KillSettings {
  readonly isDryRun: boolean;
  readonly waitSeconds: number | undefined;
  readonly reason: string | undefined;
  readonly scope: 'session' | 'statement';
  readonly signal: AbortSignal;
  /** Called with the sessions that the node still lists, after each list that was read. */
  readonly onLeaving: (leaving: readonly ListedSession[]) => void;
}

const POLL_MS = 1000;
const FIRST_POLL_MS = 500;

/**
 * Ends sessions of one node, each only if its user and host have not changed. Waits until they have left the node, at most `waitSeconds`.
 * Rejects only if no session can have been ended.
 */
export async function killOn(
  client: SessionControlClient,
  node: NodeAddress,
  sessions: readonly ListedSession[],
  settings: KillSettings,
): Promise<NodeKill> {
  const end = performance.now() + (settings.waitSeconds ?? 0) * 1000;
  const results = new Map<bigint, KillResult>(
    sessions.map((session) => [session.id, { session, outcome: 'unknown' }]),
  );
  const seenRollingBack = new Set<bigint>();
  const onListed = (listed: readonly ListedSession[]): void => {
    for (const { id, command, state } of listed) {
      if (/^killed$/i.test(command) && /^rollback$/i.test(state)) seenRollingBack.add(id);
    }
    settings.onLeaving(listed);
  };
  const watching = { ...settings, onLeaving: onListed };
  const first = await sendWhileWatching(client, node, sessions, watching, settings.waitSeconds);
  setOutcomes(first, results);
  const requestIds = [...first.requestIds];
  // A statement that ends does not leave the list: its session lives on.
  const canLeave = settings.scope === 'session' && !settings.isDryRun;
  while (settings.waitSeconds !== undefined && canLeave) {
    const left = Math.ceil((end - performance.now()) / 1000);
    const leaving = [...results.values()].filter(isLeaving);
    if (left <= 0 || leaving.length === 0 || settings.signal.aborted) break;
    try {
      // A service that ignores `wait` responds immediately: without a pause, this loop would flood it.
      await pause(Math.min(POLL_MS, left * 1000), undefined, { signal: settings.signal });
      const listed = await listedOf(
        client,
        node,
        leaving.map(({ session }) => session),
        settings.signal,
      );
      onListed(listed);
      markGone(leaving, listed, seenRollingBack);
      if (listed.length === 0) break;
      const more = await sendWhileWatching(client, node, listed, watching, left);
      updateOutcomes(more, results);
      requestIds.push(...more.requestIds);
    } catch {
      break;
    }
  }
  const { trouble } = first;
  return { results: [...results.values()], trouble, requestIds };
}

function isLeaving({ outcome }: KillResult): boolean {
  return outcome === 'killed' || outcome === 'rolling_back';
}

/**
 * Marks the sessions that have left the list as gone. MariaDB lists a session until its rollback ends.
 * MySQL can roll back a session that the list no longer shows, and only the request that killed it can see that.
 * So a session with the outcome `rolling_back` is gone only if a list has shown its rollback.
 */
function markGone(
  leaving: readonly KillResult[],
  listed: readonly ListedSession[],
  seenRollingBack: ReadonlySet<bigint>,
): void {
  const ids = new Set(listed.map(({ id }) => id));
  for (const result of leaving) {
    const { id } = result.session;
    const isRolledBack = result.outcome === 'killed' || seenRollingBack.has(id);
    if (!ids.has(id) && isRolledBack) result.outcome = 'gone';
  }
}

async function sendWhileWatching(
  client: SessionControlClient,
  node: NodeAddress,
  sessions: readonly ListedSession[],
  settings: KillSettings,
  waitSeconds: number | undefined,
): Promise<Termination> {
  const answered = new AbortController();
  const watching =
    waitSeconds === undefined || settings.isDryRun || settings.scope === 'statement'
      ? undefined
      : watchLeaving(client, node, sessions, settings, answered.signal);
  try {
    return await client.kill(
      node,
      sessions.map(({ id, host, user, info }) => ({ id, host, user, info })),
      {
        signal: settings.signal,
        isDryRun: settings.isDryRun,
        scope: settings.scope,
        waitSeconds: settings.isDryRun ? undefined : waitSeconds,
        isDetailed: true,
        reason: settings.reason,
        idempotencyKey: randomUUID(),
      },
    );
  } finally {
    answered.abort();
    await watching;
  }
}

/** Reports the sessions that are still listed until the signal aborts. Ignores errors: the reports are only for the progress line. */
async function watchLeaving(
  client: SessionControlClient,
  node: NodeAddress,
  sessions: readonly ListedSession[],
  { onLeaving }: KillSettings,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = FIRST_POLL_MS;
  while (!signal.aborted) {
    try {
      await pause(pauseMs, undefined, { signal });
      const begun = performance.now();
      onLeaving(await listedOf(client, node, sessions, signal));
      // A long list is many requests: a longer pause keeps the caller below the rate limit.
      pauseMs = Math.max(POLL_MS, 10 * (performance.now() - begun));
    } catch {
      // Aborted, or a list could not be read: the next attempt may work.
    }
  }
}

/** Reads the list of the node and returns those of the sessions that are still in it. */
async function listedOf(
  client: SessionControlClient,
  node: NodeAddress,
  sessions: readonly ListedSession[],
  signal: AbortSignal,
): Promise<ListedSession[]> {
  const hosts = new Map(sessions.map(({ id, host }) => [id, host]));
  const listed = await client.list(node, { signal, withTransactions: true });
  return listed
    .filter(({ id, host }) => hosts.get(id) === host)
    .map((session) => ({ ...session, node: node.nodeId }));
}

function setOutcomes(termination: Termination, results: ReadonlyMap<bigint, KillResult>): void {
  for (const [id, outcome] of outcomesOf(termination)) {
    const result = results.get(id);
    if (result !== undefined) result.outcome = outcome;
  }
  setDetails(termination, results);
}

function setDetails({ sessions }: Termination, results: ReadonlyMap<bigint, KillResult>): void {
  for (const { id, outcome, rowsLeft, secondsLeft, transactionOpen } of sessions) {
    const result = results.get(id);
    if (result === undefined) continue;
    if (outcome === 'rolling_back') Object.assign(result, { rowsLeft, secondsLeft });
    result.isTransactionOpen = transactionOpen;
  }
}

/** Updates the outcomes from a repeated request. A killed session that is not found is gone; no outcome gets less certain. */
function updateOutcomes(termination: Termination, results: ReadonlyMap<bigint, KillResult>): void {
  for (const [id, outcome] of outcomesOf(termination)) {
    const result = results.get(id);
    if (result === undefined) continue;
    if (outcome === 'gone' || outcome === 'rolling_back') result.outcome = outcome;
    else if (outcome === 'not_found' && result.outcome === 'killed') result.outcome = 'gone';
  }
  setDetails(termination, results);
}

function outcomesOf(termination: Termination): ReadonlyMap<bigint, Outcome> {
  const { killed, notFound, failed, unknown, sessions } = termination;
  return new Map([
    ...killed.map((id): [bigint, Outcome] => [id, 'killed']),
    ...notFound.map((id): [bigint, Outcome] => [id, 'not_found']),
    ...failed.map((id): [bigint, Outcome] => [id, 'failed']),
    ...unknown.map((id): [bigint, Outcome] => [id, 'unknown']),
    ...sessions.map(({ id, outcome }): [bigint, Outcome] => [id, outcome]),
  ]);
}
