import { SessionControlError, type NodeEntry, type ProjectNodes } from '../client/index.ts';
import type { SessionControlClient } from '../client/index.ts';
import { usageError } from './failures.ts';
import type { Connection, NamedNode } from './listing.ts';
import { visible } from './visible.ts';

/** The nodes that the user wants, by name or by id, and where they are. */
export interface WantedNodes {
  readonly projectId: string;
  /** Undefined if it was not given: the name of a node is enough to find it. */
  readonly instanceId: string | undefined;
  readonly names: readonly string[];
}

/** The form of the ids of nodes. */
export const NODE_ID = /^[A-Za-z0-9]{32}no07$/;

/**
 * Finds nodes by id or by name, and reads their names and the actions of the caller. A service that does not list nodes leaves ids as they are.
 * Rejects with a usage error for a name that no node has, or if the instance is missing and needed.
 */
export async function findNodes(
  client: SessionControlClient,
  wanted: WantedNodes,
  signal: AbortSignal,
): Promise<Connection> {
  const project = await nodesOf(client, wanted.projectId, signal);
  const nodes = wanted.names.map((name) => findNode(name, wanted, project?.nodes ?? []));
  const different = new Map(nodes.map((node) => [`${node.instanceId}/${node.nodeId}`, node]));
  return { client, nodes: [...different.values()], caller: project?.caller };
}

async function nodesOf(
  client: SessionControlClient,
  projectId: string,
  signal: AbortSignal,
): Promise<ProjectNodes | undefined> {
  try {
    return await client.nodes(projectId, { signal });
  } catch (error) {
    // Names are optional: the command may work without them.
    const isServiceSilent =
      error instanceof SessionControlError &&
      error.kind !== 'unreachable' &&
      error.kind !== 'denied';
    if (isServiceSilent) return undefined;
    throw error;
  }
}

function findNode(
  given: string,
  { projectId, instanceId }: WantedNodes,
  known: readonly NodeEntry[],
): NamedNode {
  const byId = known.filter(
    (node) => node.nodeId === given && (instanceId === undefined || node.instanceId === instanceId),
  );
  const [found, ...others] = byId.length > 0 ? byId : known.filter(({ name }) => name === given);
  if (found !== undefined && others.length === 0) return { projectId, ...found };
  if (known.length > 0 && found === undefined && !NODE_ID.test(given)) {
    throw usageError(
      `No node of the project has the name or id ${visible(given)}.`,
      'See `sessionctl nodes`.',
    );
  }
  if (instanceId !== undefined) return { projectId, instanceId, nodeId: given };
  throw usageError(
    'The instance is missing.',
    'Give --instance, set SESSIONCTL_INSTANCE, or name the node as `sessionctl nodes` shows it.',
  );
}
