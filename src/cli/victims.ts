import { SessionControlError, type SessionControlClient, type Wait } from '../client/index.ts';
import { bounded } from './bounded.ts';
import { rootsOf } from './lock-tree.ts';
import { planKill, nodeOf, type KillPlan } from './kill-plan.ts';
import type { KillSettings } from './kill-settings.ts';
import { listAll, nodeLabel, type Connection, type ListedSession } from './listing.ts';
import type { Listing, NamedNode } from './listing.ts';
import type { Progress } from './progress.ts';
import type { GivenId } from './session-ids.ts';

/** The sessions to end, as the nodes show them at one moment. */
export interface Victims extends KillPlan {
  readonly listing: Listing;
  /** Sentences about waiters whose blocker cannot be ended. */
  readonly remarks: readonly string[];
}

/**
 * Finds the sessions to end: those with the ids, the root blockers of --blocker-of, or all that pass the filters. With ids and --blocker-of,
 * finds the root blockers that have one of the ids. Rejects with an error of the service.
 */
export async function findVictims(
  connection: Connection,
  ids: readonly GivenId[] | undefined,
  { blockerOf, passes }: KillSettings,
  signal: AbortSignal,
  progress?: Progress,
): Promise<Victims> {
  const { nodes } = connection;
  const roots = blockerOf && (await rootsOfAll(connection, blockerOf, signal));
  const listing = await listAll(connection, signal, {
    ...(progress && { progress }),
    withTransactions: true,
  });
  const unread = listing.failures.map(({ node }) => node);
  const isGiven = ({ node, id }: GivenId): boolean =>
    ids === undefined || ids.some((given) => given.node === node && given.id === id);
  const wanted = roots === undefined ? ids : roots.ids.filter(isGiven);
  const plan = bounded(() => planKill(listing.sessions, { all: nodes, unread }, wanted, passes));
  return { ...plan, listing, remarks: roots?.remarks ?? [] };
}

/**
 * Reads the nodes again, and splits the shown sessions into those that are the same and those that changed. A session is the same if its
 * id and host are the same, and if it still matches. For the scope `statement`, it must run the same statement too. Rejects with the first error.
 */
export async function findVictimsAgain(
  { client, nodes }: Connection,
  shown: readonly ListedSession[],
  settings: KillSettings,
  signal: AbortSignal,
): Promise<{
  readonly same: readonly ListedSession[];
  readonly changed: readonly ListedSession[];
}> {
  const concerned = nodes.filter(({ nodeId }) => shown.some(({ node }) => node === nodeId));
  const ids = shown.map(({ node, id }) => ({ node, id }));
  const connection = { client, nodes: settings.blockerOf === undefined ? concerned : nodes };
  const { sessions, listing } = await findVictims(connection, ids, settings, signal);
  for (const { error } of listing.failures) throw error;
  const newer = new Map(sessions.map((session) => [`${session.node}/${session.id}`, session]));
  const isSame = ({ node, id, host, info }: ListedSession): boolean => {
    const now = newer.get(`${node}/${id}`);
    if (now?.host !== host) return false;
    return settings.scope === 'session' || (now.info === info && now.command !== 'Sleep');
  };
  return { same: shown.filter(isSame), changed: shown.filter((session) => !isSame(session)) };
}

interface Roots {
  readonly ids: readonly GivenId[];
  readonly remarks: readonly string[];
}

async function rootsOfAll(
  { client, nodes }: Connection,
  waiters: readonly GivenId[],
  signal: AbortSignal,
): Promise<Roots> {
  const ids: GivenId[] = [];
  const remarks: string[] = [];
  const byNode = new Map<NamedNode, bigint[]>();
  for (const waiter of waiters) {
    const node = nodeOf(waiter, nodes);
    byNode.set(node, [...(byNode.get(node) ?? []), waiter.id]);
  }
  for (const [node, some] of byNode) {
    const report = await client.blockers(node, signal);
    const where = nodeLabel({ node: node.nodeId, nodeName: node.name });
    for (const waiter of some) {
      const own = report.isTruncated ? await waitsOf(client, node, waiter, signal) : [];
      const roots = rootsOf({ ...report, waits: [...report.waits, ...own] }, waiter);
      for (const root of roots) {
        if (root.id !== undefined) ids.push({ node: node.nodeId, id: root.id });
        else {
          remarks.push(
            root.isPrepared
              ? `Session ${waiter} on node ${where} waits for a prepared transaction: no KILL ends it. XA RECOVER lists it, XA ROLLBACK ends it.`
              : `Session ${waiter} on node ${where} waits for an internal thread: no KILL ends it.`,
          );
        }
      }
      if (roots.length === 0) {
        const hidden = Object.entries(report.sources)
          .filter(([, source]) => source !== 'available')
          .map(([kind, source]) => ` The ${kind} locks are not shown: ${source}`);
        remarks.push(`Session ${waiter} on node ${where} waits for nobody.${hidden.join('')}`);
      }
    }
  }
  return { ids, remarks };
}

/** Reads the waits of one session, which a truncated report can lack. */
async function waitsOf(
  client: SessionControlClient,
  node: NamedNode,
  waiter: bigint,
  signal: AbortSignal,
): Promise<readonly Wait[]> {
  try {
    return (await client.show(node, waiter, signal)).waitsFor;
  } catch (error) {
    if (error instanceof SessionControlError && error.status === 404) return [];
    throw error;
  }
}
