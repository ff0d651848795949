import type { NodeAddress, Session, SessionControlClient } from '../client/index.ts';
import type { Progress } from './progress.ts';

/** A session and where it is. */
export interface ListedSession extends Session {
  readonly node: string;
}

/** Who is asked about which nodes. */
export interface Connection {
  readonly client: SessionControlClient;
  readonly nodes: readonly NodeAddress[];
}

/** The sessions of all nodes, node by node in the order given, by id. Rejects with the first error. */
export async function listAll(
  { client, nodes }: Connection,
  signal: AbortSignal,
  progress?: Progress,
): Promise<ListedSession[]> {
  const counts = new Map<string, readonly [number, number]>();
  const lists = await Promise.all(
    nodes.map(async (node) => {
      const sessions = await client.list(node, {
        signal,
        onProgress: (read, total) => {
          counts.set(node.nodeId, [read, total]);
          progress?.tell(readSoFar(counts));
        },
      });
      return sessions.map((session) => ({ ...session, node: node.nodeId }));
    }),
  );
  return lists.flat();
}

function readSoFar(counts: ReadonlyMap<string, readonly [number, number]>): string {
  const [read, total] = [0, 1].map((part) =>
    [...counts.values()].reduce((sum, pair) => sum + (pair[part] ?? 0), 0),
  );
  return `Reading the list: ${read} of ${total} sessions`;
}
