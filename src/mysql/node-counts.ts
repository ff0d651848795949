import type { NodeKey } from '../domain/node.ts';

/** Counts over all nodes together: their number does not grow with the nodes. */
export interface NodeCounts {
  readonly connections: Record<'opening' | 'idle' | 'in_use' | 'spare', number>;
  /** The circuit breakers of the nodes that were used. */
  readonly breakers: Record<'closed' | 'open' | 'half_open', number>;
  /** Requests `at_slow_node` are counted a second time: they wait for an overdue statement. */
  readonly requests: Record<'waiting_for_connection' | 'at_node' | 'at_slow_node', number>;
}

/** Returns counts of zero, to count up from. */
export function noCounts(): NodeCounts {
  return {
    connections: { opening: 0, idle: 0, in_use: 0, spare: 0 },
    breakers: { closed: 0, open: 0, half_open: 0 },
    requests: { waiting_for_connection: 0, at_node: 0, at_slow_node: 0 },
  };
}

/** Called once for each change of a node. `warnings.ts` fills it. */
export interface NodeEvents {
  /** The third attempt in a row failed: requests to the node are refused. */
  unreachable(node: NodeKey, error: unknown): void;
  /** The node can be reached again. */
  reachable(node: NodeKey): void;
}
