import type { Node, NodeKey, NodeRegistry } from '../domain/node.ts';
import { ServiceError } from '../errors.ts';

/** The nodes of the registry file, in memory. */
export class FileRegistry implements NodeRegistry {
  #nodes: readonly Node[] = [];
  #byNodeId: ReadonlyMap<string, Node> = new Map();

  constructor(nodes: readonly Node[]) {
    this.replace(nodes);
  }

  /** The number of nodes. */
  get size(): number {
    return this.#nodes.length;
  }

  /** Replaces all nodes. Requests in progress keep the node that they found. */
  replace(nodes: readonly Node[]): void {
    this.#nodes = nodes.toSorted((one, other) => (sortKey(one) < sortKey(other) ? -1 : 1));
    this.#byNodeId = new Map(nodes.map((node) => [node.nodeId, node]));
  }

  find({ projectId, instanceId, nodeId }: NodeKey): Node {
    const isThisInstance = (node: Node): boolean =>
      node.projectId === projectId && node.instanceId === instanceId;
    const node = this.#byNodeId.get(nodeId);
    if (node !== undefined && isThisInstance(node)) return node;
    throw new ServiceError(
      this.#nodes.some(isThisInstance) ? 'node_not_found' : 'instance_not_found',
    );
  }

  list(projectId: string): readonly Node[] {
    return this.#nodes.filter((node) => node.projectId === projectId);
  }
}

// Both ids have a fixed length, so the joined text sorts like the pair.
function sortKey({ instanceId, nodeId }: NodeKey): string {
  return instanceId + nodeId;
}
