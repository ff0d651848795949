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

/** What could be read. */
export interface Listing {
  readonly sessions: readonly ListedSession[];
  /** The nodes whose list could not be read, while those of others could. */
  readonly failures: readonly ListFailure[];
}

export interface ListFailure {
  readonly node: string;
  readonly error: unknown;
}

/** The sessions of all nodes, node by node in the order given, by id. Rejects when no list can be read, or it is interrupted. */
export async function listAll(
  { client, nodes }: Connection,
  signal: AbortSignal,
  progress?: Progress,
): Promise<Listing> {
  const counts = new Map<string, readonly [number, number]>();
  const lists = await Promise.allSettled(
    nodes.map((node) =>
      client.list(node, {
        signal,
        onProgress: (read, total) => {
          counts.set(node.nodeId, [read, total]);
          progress?.tell(readSoFar(counts));
        },
      }),
    ),
  );
  signal.throwIfAborted();
  const failures = lists.flatMap((list, index): ListFailure[] =>
    list.status === 'fulfilled'
      ? []
      : [{ node: nodes[index]?.nodeId ?? '', error: list.reason as unknown }],
  );
  const [first] = failures;
  if (first !== undefined && failures.length === nodes.length) throw first.error;
  const sessions = lists.flatMap((list, index) => {
    const node = nodes[index]?.nodeId ?? '';
    return list.status === 'fulfilled' ? list.value.map((session) => ({ ...session, node })) : [];
  });
  return { sessions, failures };
}

function readSoFar(counts: ReadonlyMap<string, readonly [number, number]>): string {
  const [read, total] = [0, 1].map((part) =>
    [...counts.values()].reduce((sum, pair) => sum + (pair[part] ?? 0), 0),
  );
  return `Reading the list: ${read} of ${total} sessions`;
}
