import type { NodeKey } from '../domain/node.ts';

/** What there is at all nodes together: numbers that do not grow more numerous with the nodes. */
export interface NodeCounts {
  readonly connections: Record<'opening' | 'idle' | 'in_use' | 'spare', number>;
  /** Of nodes that were used. */
  readonly breakers: Record<'closed' | 'open' | 'half_open', number>;
  /** Those `at_slow_node` are counted a second time: they wait for something that is overdue. */
  readonly requests: Record<'waiting_for_connection' | 'at_node' | 'at_slow_node', number>;
}

/** To count up from. */
export function noCounts(): NodeCounts {
  return {
    connections: { opening: 0, idle: 0, in_use: 0, spare: 0 },
    breakers: { closed: 0, open: 0, half_open: 0 },
    requests: { waiting_for_connection: 0, at_node: 0, at_slow_node: 0 },
  };
}

/** Hears of what happens to nodes, once each time. */
export interface NodeEvents {
  /** It could not be reached three times in a row: requests to it are turned away. */
  unreachable(node: NodeKey, error: unknown): void;
  /** It can be reached again. */
  reachable(node: NodeKey): void;
}
