import { readLocks, type NodeLocks } from '../blockers.ts';
import { listTrouble } from '../list.ts';
import { nodeLabel, type Connection, type ListedSession } from '../listing.ts';
import { lockLines } from '../lock-lines.ts';
import { detailLines, notFound } from '../show.ts';
import { visible } from '../visible.ts';
import type { PageLine, Root } from './state.ts';

/** Reads everything about a session. Rejects with an error of the service, or if the session has ended. */
export async function readDetails(
  { client, nodes }: Connection,
  session: ListedSession,
  signal: AbortSignal,
): Promise<readonly PageLine[]> {
  const node = nodes.find(({ nodeId }) => nodeId === session.node);
  if (node === undefined) return [];
  try {
    const detail = await client.show(node, session.id, signal);
    if (detail.host !== session.host) {
      return [{ text: 'The session has ended. Another one has its id.' }];
    }
    return detailLines(node, detail).map((text) => ({ text }));
  } catch (error) {
    throw notFound(error, node, session.id);
  }
}

/** Reads the trees of blockers of all nodes. Rejects with the first error if no node shows its locks. */
export async function readBlockers(
  connection: Connection,
  signal: AbortSignal,
): Promise<readonly PageLine[]> {
  const { found, failures } = await readLocks(connection, signal);
  return [
    ...found.flatMap((locks) => treeOf(locks, connection.nodes.length > 1)),
    ...failures.map((failure) => ({ text: listTrouble(failure) })),
  ];
}

function treeOf({ node, report, listed }: NodeLocks, isNodeShown: boolean): readonly PageLine[] {
  const where = nodeLabel({ node: node.nodeId, nodeName: node.name });
  const roots = report.blockers.filter(({ isRoot }) => isRoot);
  let next = 0;
  const lines = lockLines(report, listed).map((text): PageLine => {
    const root = /^[├│└ ]/.test(text) ? undefined : roots[next++];
    return root === undefined ? { text } : { text, root: rootOf(root) };
  });
  function rootOf({ id, session, canBeKilled }: (typeof roots)[number]): Root {
    if (session === undefined || id === undefined || !canBeKilled) {
      return { why: 'No KILL ends this blocker.' };
    }
    const waiters = report.waits.filter(({ waitsFor }) => waitsFor === id).map((wait) => wait.id);
    return { session: { ...session, node: node.nodeId, nodeName: node.name }, waiters };
  }
  const hidden = Object.entries(report.sources).filter(([, source]) => source !== 'available');
  return [
    ...(isNodeShown ? [{ text: `Node ${where}` }] : []),
    ...(lines.length > 0 ? lines : [{ text: 'No session waits for a lock.' }]),
    ...hidden.map(([kind, source]) => ({
      text: visible(`The ${kind} locks are not shown: ${source}`),
    })),
  ];
}
