import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { NodeAddress, Outcome, SessionControlClient, Termination } from '../client/index.ts';
import type { ListedSession } from './listing.ts';

/** One session and what came of it. */
export interface KillResult {
  readonly session: ListedSession;
  outcome: Outcome;
}

/** What came of a kill on one node. */
export interface NodeKill {
  readonly results: readonly KillResult[];
  readonly trouble: string | undefined;
  readonly requestIds: readonly string[];
}

export interface KillSettings {
  readonly isDryRun: boolean;
  readonly waitSeconds: number | undefined;
  readonly reason: string | undefined;
  readonly signal: AbortSignal;
  /** Told which of them the node still lists. */
  readonly onLeaving: (leaving: readonly ListedSession[]) => void;
}

const POLL_MS = 1000;
const FIRST_LOOK_MS = 500;
const PAGE = 100;

/**
 * Ends sessions of one node, each only if it still is what was shown, and waits for them to leave if that is wanted.
 * Rejects only when none can have been ended.
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
  const first = await sendWhileWatching(client, node, sessions, settings, settings.waitSeconds);
  take(first, results);
  const requestIds = [...first.requestIds];
  while (settings.waitSeconds !== undefined && !settings.isDryRun) {
    const left = Math.ceil((end - performance.now()) / 1000);
    const leaving = [...results.values()].filter(isLeaving);
    if (left <= 0 || leaving.length === 0 || settings.signal.aborted) break;
    try {
      // A service that does not wait at all must not be asked without a pause.
      await pause(Math.min(POLL_MS, left * 1000), undefined, { signal: settings.signal });
      // The service waits no longer than it likes at once. What rolls back off the list is seen by nobody but the request that killed it.
      const listed = await stillListed(client, node, leaving, settings.signal);
      if (listed.length === 0) break;
      const more = await sendWhileWatching(client, node, listed, settings, left);
      takeAgain(more, results);
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

async function sendWhileWatching(
  client: SessionControlClient,
  node: NodeAddress,
  sessions: readonly ListedSession[],
  settings: KillSettings,
  waitSeconds: number | undefined,
): Promise<Termination> {
  const answered = new AbortController();
  const watching =
    waitSeconds === undefined || settings.isDryRun
      ? undefined
      : watchLeaving(client, node, sessions, settings, answered.signal);
  try {
    return await client.kill(
      node,
      sessions.map(({ id, host, user }) => ({ id, host, user })),
      {
        signal: settings.signal,
        isDryRun: settings.isDryRun,
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

/** Tells who is still listed until there is an answer. What fails here is only not told. */
async function watchLeaving(
  client: SessionControlClient,
  node: NodeAddress,
  sessions: readonly ListedSession[],
  { onLeaving }: KillSettings,
  signal: AbortSignal,
): Promise<void> {
  const hosts = new Map(sessions.map(({ id, host }) => [id, host]));
  let pauseMs = FIRST_LOOK_MS;
  while (!signal.aborted) {
    try {
      await pause(pauseMs, undefined, { signal });
      const listed = await client.list(node, { signal });
      // A long list costs the caller's share of requests.
      pauseMs = POLL_MS * Math.max(1, Math.ceil(listed.length / PAGE));
      onLeaving(
        listed
          .filter(({ id, host }) => hosts.get(id) === host)
          .map((session) => ({ ...session, node: node.nodeId })),
      );
    } catch {
      // Aborted, or the next look may do better.
    }
  }
}

async function stillListed(
  client: SessionControlClient,
  node: NodeAddress,
  leaving: readonly KillResult[],
  signal: AbortSignal,
): Promise<ListedSession[]> {
  const listed = new Map((await client.list(node, { signal })).map(({ id, host }) => [id, host]));
  for (const result of leaving) {
    const isListed = listed.get(result.session.id) === result.session.host;
    if (!isListed && result.outcome === 'killed') result.outcome = 'gone';
  }
  return leaving
    .filter(({ session }) => listed.get(session.id) === session.host)
    .map(({ session }) => session);
}

function take(termination: Termination, results: ReadonlyMap<bigint, KillResult>): void {
  for (const [id, outcome] of outcomesOf(termination)) {
    const result = results.get(id);
    if (result !== undefined) result.outcome = outcome;
  }
}

/** Of a second request, what is known better: who was killed and is not found has left, and nobody is less dead than before. */
function takeAgain(termination: Termination, results: ReadonlyMap<bigint, KillResult>): void {
  for (const [id, outcome] of outcomesOf(termination)) {
    const result = results.get(id);
    if (result === undefined) continue;
    if (outcome === 'gone' || outcome === 'rolling_back') result.outcome = outcome;
    else if (outcome === 'not_found' && result.outcome === 'killed') result.outcome = 'gone';
  }
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
