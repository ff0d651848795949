import type { NodeAddress, Session, SessionControlClient } from '../client/index.ts';
import type { Progress } from './progress.ts';

/** A session with the id of its node. */
export interface ListedSession extends Session {
  readonly node: string;
}

/** A client of the service, and the nodes that the command is about. */
export interface Connection {
  readonly client: SessionControlClient;
  readonly nodes: readonly NodeAddress[];
}

/** The lists that could be read, and the nodes whose lists could not. */
export interface Listing {
  readonly sessions: readonly ListedSession[];
  readonly failures: readonly ListFailure[];
}

/** A node whose list could not be read, with the error. */
export interface ListFailure {
  readonly node: string;
  readonly error: unknown;
}

/**
 * Reads the sessions of all nodes at once. Sorts them in the order of the nodes, then by id.
 * Rejects with the first error if no list can be read, and with the signal's reason after Ctrl-C.
 */
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
          progress?.update(readSoFar(counts));
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
