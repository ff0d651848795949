import { SessionControlError, type NodeAddress, type Outcome } from '../client/index.ts';
import { plural } from './durations.ts';
import { failureOf } from './failures.ts';
import { killOn, type NodeKill } from './kill-run.ts';
import type { KillSettings } from './kill-settings.ts';
import type { Connection, ListedSession } from './listing.ts';
import { withProgress, type Progress } from './progress.ts';
import { isRollingBack, RollbackEstimate } from './rollback-estimate.ts';
import { sessionName } from './session-table.ts';
import type { CliContext } from './cli-context.ts';
import { visible } from './visible.ts';

const HAVE_LEFT: ReadonlySet<Outcome> = new Set(['gone', 'not_found']);

/**
 * Ends sessions on all their nodes at the same time. An error about a single node becomes outcomes of its sessions.
 * Rejects with the first error if every node failed and no error is about a node: no session can have been ended.
 */
export async function killAll(
  { client, nodes }: Connection,
  sessions: readonly ListedSession[],
  settings: KillSettings,
  { messages, signal }: CliContext,
): Promise<NodeKill[]> {
  const concerned = nodes
    .map((node) => ({ node, sessions: sessions.filter(({ node: id }) => id === node.nodeId) }))
    .filter(({ sessions: some }) => some.length > 0);
  // A session counts as present until a list without it was read.
  const leaving = new Map<string, readonly ListedSession[]>(
    concerned.map(({ node, sessions: some }) => [node.nodeId, some]),
  );
  const begun = performance.now();
  const estimate = new RollbackEstimate();
  const killNode = async (
    node: NodeAddress,
    some: readonly ListedSession[],
    progress: Progress,
  ): Promise<NodeKill> => {
    const kill = await killOn(client, node, some, {
      ...settings,
      signal,
      onLeaving: (listed) => {
        leaving.set(node.nodeId, listed);
        const left = [...leaving.values()].flat();
        const now = performance.now();
        progress.update(waiting(left, sessions.length, now - begun, estimate.update(left, now)));
      },
    });
    const left = kill.results.filter(({ outcome }) => !HAVE_LEFT.has(outcome));
    leaving.set(
      node.nodeId,
      left.map(({ session }) => session),
    );
    return kill;
  };
  const ended = await withProgress(
    messages,
    `Ending ${plural(sessions.length, settings.scope === 'session' ? 'session' : 'statement')}`,
    (progress) =>
      Promise.allSettled(
        concerned.map(({ node, sessions: some }) => killNode(node, some, progress)),
      ),
  );
  const [firstError] = ended.filter((result) => result.status === 'rejected');
  const haveAllFailed = ended.every(({ status }) => status === 'rejected');
  const isOfNode = ended.some((end) => end.status === 'rejected' && isAboutNode(end.reason));
  if (firstError !== undefined && haveAllFailed && !isOfNode) throw firstError.reason;
  return ended.map((result, index) =>
    result.status === 'fulfilled'
      ? result.value
      : notEnded(concerned[index]?.sessions ?? [], result.reason),
  );
}

/** True if the service failed on the node or does not know the node. */
function isAboutNode(error: unknown): boolean {
  if (!(error instanceof SessionControlError)) return false;
  return error.kind === 'failed' || (error.kind === 'refused' && error.status === 404);
}

function notEnded(sessions: readonly ListedSession[], error: unknown): NodeKill {
  return {
    results: sessions.map((session) => ({ session, outcome: 'failed' })),
    trouble: failureOf(error).line,
    requestIds: [],
  };
}

function waiting(
  leaving: readonly ListedSession[],
  all: number,
  ms: number,
  rollback: string,
): string {
  const names = leaving.map(
    (session) => `${sessionName(session)}${isRollingBack(session) ? ' (rolling back)' : ''}`,
  );
  const seconds = Math.round(ms / 1000);
  if (names.length === 0) {
    return `${all} of ${all} sessions have left the list after ${seconds} s. Waiting until their changes are rolled back`;
  }
  const detail = rollback === '' ? '' : `: ${rollback}`;
  return visible(
    `${all - leaving.length} of ${all} sessions have left the node after ${seconds} s${detail}. Still listed: ${names.join(', ')}`,
  );
}
