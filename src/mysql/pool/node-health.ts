import { backoffMs } from '../../domain/deadline.ts';
import type { NodeKey } from '../../domain/node.ts';
import { ServiceError } from '../../errors.ts';

/** The breaker opens after this number of failed attempts in a row. */
const FAILURES = 3;
const FIRST_PAUSE_MS = 500;
/** The longest pause between two attempts. Once a node is back, a request reaches it after at most this time. */
const LONGEST_PAUSE_MS = 5000;

/** Refuses requests to a node for at most 5 s after the third failed attempt in a row. Then the next request tries again. */
export class CircuitBreaker {
  #failures = 0;
  #openUntil = 0;

  /** Throws `overloaded` while the breaker is open. The message names no time: the response has `Retry-After`. */
  requireClosed(): void {
    if (this.state !== 'open') return;
    throw new ServiceError('overloaded', {
      'en-us': `The node could not be reached ${this.#failures} times in a row, so the service pauses before the next attempt.`,
      'zh-cn': `节点连续${this.#failures}次无法连接，服务将在下次尝试前暂停片刻。`,
    });
  }

  /** Returns true if the last attempt failed. */
  hasFailed(): boolean {
    return this.#failures > 0;
  }

  /** `open`: the breaker refuses requests. `half_open`: the next request tries the node. */
  get state(): 'closed' | 'open' | 'half_open' {
    if (this.#failures < FAILURES) return 'closed';
    return this.leftMs() > 0 ? 'open' : 'half_open';
  }

  /** Notes a successful attempt. Returns true if it closed the breaker. */
  succeeded(): boolean {
    const wasClosed = this.state === 'closed';
    this.#failures = 0;
    this.#openUntil = 0;
    return !wasClosed;
  }

  /** Notes a failed attempt. Returns true if it was the third in a row, which opened the breaker. */
  failed(): boolean {
    this.#failures += 1;
    const pauseMs = backoffMs(this.#failures - 1, FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
    this.#openUntil = performance.now() + pauseMs;
    return this.#failures === FAILURES;
  }

  /** Returns the time until the next attempt is due, in milliseconds. */
  leftMs(): number {
    return Math.max(0, this.#openUntil - performance.now());
  }
}

/** Called once for each change of a node. `warnings.ts` implements it. */
export interface NodeEvents {
  /** The third attempt in a row failed, so the breaker refuses requests to the node. */
  unreachable(node: NodeKey, error: unknown): void;
  /** The node can be reached again. */
  reachable(node: NodeKey): void;
}

/** At most this many requests use a node, or wait for it, at the same time. */
const MAX_USERS = 512;
/** At most this many requests wait for all slow nodes together: about half of the requests that the service admits. */
const MAX_AT_SLOW_NODES = 512;
/** At most this many requests count for one slow node. A node can have more requests from before it became slow. */
const MAX_AT_ONE = 256;

/** The time between two counts over all nodes in use. Between two counts, each new request adds one. */
const RECOUNT_MS = 50;

/** A node as the bulkhead sees it. */
export interface BulkheadMember {
  /** The number of requests that use the node or wait for it. */
  readonly users: number;
  /** True if a new request would wait: for an overdue statement, a slow connection attempt, or after a failed attempt. */
  isSlow(): boolean;
}

/** Keeps room for requests to other nodes while some nodes are slow. */
export class SlowNodeBulkhead {
  readonly #busy = new Set<BulkheadMember>();
  #held = 0;
  #countedAt = -Infinity;

  /** Notes that a node has its first user. */
  begin(node: BulkheadMember): void {
    this.#busy.add(node);
  }

  /** Notes that the last user of a node has left. */
  end(node: BulkheadMember): void {
    this.#busy.delete(node);
  }

  /**
   * Throws `overloaded` if this node has 512 requests. Also throws it for a slow node, if that has 256 requests or all slow nodes together
   * have 512.
   */
  requireRoom(node: BulkheadMember): void {
    if (node.users >= MAX_USERS) throw new ServiceError('overloaded', QUEUE_FULL);
    if (!node.isSlow()) return;
    if (performance.now() - this.#countedAt > RECOUNT_MS) this.#count();
    if (node.users >= MAX_AT_ONE || this.#held >= MAX_AT_SLOW_NODES)
      throw new ServiceError('overloaded', TOO_MANY);
    this.#held += 1;
  }

  #count(): void {
    this.#countedAt = performance.now();
    this.#held = 0;
    for (const node of this.#busy)
      if (node.isSlow()) this.#held += Math.min(node.users, MAX_AT_ONE);
  }
}

const QUEUE_FULL = {
  'en-us': 'Too many requests wait for this node.',
  'zh-cn': '等待该节点的请求过多。',
};

const TOO_MANY = {
  'en-us': 'The node is slow to answer, and too many requests wait for such nodes.',
  'zh-cn': '节点响应缓慢，且等待此类节点的请求过多。',
};

/** Counts over all nodes together, so that their number does not grow with the number of nodes. */
export interface NodeCounts {
  readonly connections: Record<'opening' | 'idle' | 'in_use' | 'spare', number>;
  /** The circuit breakers of the nodes that were used. */
  readonly breakers: Record<'closed' | 'open' | 'half_open', number>;
  /** `at_slow_node` counts all requests to slow nodes. Each also counts in one of the other two. */
  readonly requests: Record<'waiting_for_connection' | 'at_node' | 'at_slow_node', number>;
}

/** Returns counts of zero. */
export function noCounts(): NodeCounts {
  return {
    connections: { opening: 0, idle: 0, in_use: 0, spare: 0 },
    breakers: { closed: 0, open: 0, half_open: 0 },
    requests: { waiting_for_connection: 0, at_node: 0, at_slow_node: 0 },
  };
}
