import { ServiceError } from '../../errors.ts';

/** Requests that may be held by nodes that are slow to answer, all together: about half of those that are let in at once. */
const MAX_AT_SLOW_NODES = 512;
/** Those that one of them takes of these at most: one that was quick can have more by the time it is slow. */
const MAX_AT_ONE = 256;

/** Counting takes a look at each node that is in use; who comes in between is added. */
const RECOUNT_MS = 50;

/** A node as far as others are concerned. */
export interface BulkheadMember {
  /** Requests that use it or wait for it. */
  readonly users: number;
  /** True if a new request would queue behind an overdue statement. */
  isSlow(): boolean;
}

/** Keeps nodes that are slow to answer from taking the places of requests to the others. */
export class SlowNodeBulkhead {
  readonly #busy = new Set<BulkheadMember>();
  #held = 0;
  #countedAt = -Infinity;

  /** Notes that a node has its first user. */
  begin(node: BulkheadMember): void {
    this.#busy.add(node);
  }

  /** Notes that a node has none any more. */
  end(node: BulkheadMember): void {
    this.#busy.delete(node);
  }

  /** Throws `overloaded` when this node is slow, and it holds as many requests as it may, or such nodes do together. */
  requireRoom(node: BulkheadMember): void {
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

const TOO_MANY = {
  'en-us': 'The node is slow to answer, and too many requests wait for such nodes.',
  'zh-cn': '节点响应缓慢，且等待此类节点的请求过多。',
};
