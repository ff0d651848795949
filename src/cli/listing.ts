import type { CallerFacts, NodeAddress, Session, SessionControlClient } from '../client/index.ts';
import type { Progress } from './progress.ts';
import { visible } from './visible.ts';

/** A session with the id of its node. */
export interface ListedSession extends Session {
  readonly node: string;
  /** The name of the node; undefined if it has none. */
  readonly nodeName?: string | undefined;
}

/** A node of the command. */
export interface NamedNode extends NodeAddress {
  /** Undefined if the node has no name, or if the service does not show names. */
  readonly name?: string | undefined;
}

/** A client of the service, and the nodes that the command is about. */
export interface Connection {
  readonly client: SessionControlClient;
  readonly nodes: readonly NamedNode[];
  /** Undefined if the service does not show it. */
  readonly caller?: CallerFacts | undefined;
}

/** Returns the node in NODE/ID: its name if that is one word, else its id. */
export function nodeWord({ node, nodeName }: Pick<ListedSession, 'node' | 'nodeName'>): string {
  return nodeName !== undefined && /^[\w.-]+$/.test(nodeName) ? nodeName : visible(node);
}

/** The lists that could be read, and the nodes whose lists could not. */
export interface Listing {
  readonly sessions: readonly ListedSession[];
  readonly failures: readonly ListFailure[];
  /** The reasons why nodes do not show transactions. Empty if none were wanted. */
  readonly noTransactions: readonly string[];
}

/** A node whose list could not be read, with the error. */
export interface ListFailure {
  readonly node: string;
  readonly nodeName?: string | undefined;
  readonly error: unknown;
}

/** Returns the name of the node of a session, else its id. */
export function nodeLabel({ node, nodeName }: Pick<ListedSession, 'node' | 'nodeName'>): string {
  return visible(nodeName ?? node);
}

/**
 * Reads the sessions of all nodes at the same time. Sorts them in the order of the nodes, then by id.
 * Rejects with the first error if no list can be read, and with the signal's reason after Ctrl-C.
 */
export async function listAll(
  { client, nodes }: Connection,
  signal: AbortSignal,
  { progress, withTransactions }: ListingOptions = {},
): Promise<Listing> {
  const counts = new Map<string, readonly [number, number]>();
  const noTransactions = new Set<string>();
  const lists = await Promise.allSettled(
    nodes.map((node) =>
      client.list(node, {
        signal,
        withTransactions,
        onNoTransactions: (reason) => {
          noTransactions.add(`node ${visible(node.name ?? node.nodeId)}: ${reason}`);
        },
        onProgress: (read, total) => {
          counts.set(node.nodeId, [read, total]);
          progress?.update(readSoFar(counts));
        },
      }),
    ),
  );
  signal.throwIfAborted();
  const failures: ListFailure[] = [];
  const sessions: ListedSession[] = [];
  for (const [index, list] of lists.entries()) {
    const { nodeId = '', name } = nodes[index] ?? {};
    if (list.status === 'rejected') {
      failures.push({ node: nodeId, nodeName: name, error: list.reason as unknown });
    } else {
      for (const session of list.value) sessions.push({ ...session, node: nodeId, nodeName: name });
    }
  }
  const [first] = failures;
  if (first !== undefined && failures.length === nodes.length) throw first.error;
  return { sessions, failures, noTransactions: [...noTransactions] };
}

interface ListingOptions {
  readonly progress?: Progress;
  readonly withTransactions?: boolean;
}

function readSoFar(counts: ReadonlyMap<string, readonly [number, number]>): string {
  const [read, total] = [0, 1].map((part) =>
    [...counts.values()].reduce((sum, pair) => sum + (pair[part] ?? 0), 0),
  );
  return `Reading the list: ${read} of ${total} sessions`;
}
