import type { Node, NodeKey, NodeRegistry } from '../domain/node.ts';
import { ServiceError } from '../errors.ts';

/** The nodes of the registry's file, in memory. */
export class FileRegistry implements NodeRegistry {
  #nodes: readonly Node[] = [];
  #byNodeId: ReadonlyMap<string, Node> = new Map();

  constructor(nodes: readonly Node[]) {
    this.replace(nodes);
  }

  /** How many nodes there are. */
  get size(): number {
    return this.#nodes.length;
  }

  /** From now on these are the nodes, and no others. Requests that have begun keep the node that they found. */
  replace(nodes: readonly Node[]): void {
    this.#nodes = nodes;
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
}
