import { ServiceError } from '../../errors.ts';

/** At most this many requests wait for slow nodes, all together: about half of the requests that are admitted. */
const MAX_AT_SLOW_NODES = 512;
/** At most this many of them count for one node: a node can have more users at the time it gets slow. */
const MAX_AT_ONE = 256;

/** The time between two counts, which look at each node in use. Requests in between are added. */
const RECOUNT_MS = 50;

/** A node as the bulkhead sees it. */
export interface BulkheadMember {
  /** Requests that use it or wait for it. */
  readonly users: number;
  /** True if a new request would queue behind an overdue statement. */
  isSlow(): boolean;
}

/** Keeps places free for requests to the other nodes while some nodes are slow to answer. */
export class SlowNodeBulkhead {
  readonly #busy = new Set<BulkheadMember>();
  #held = 0;
  #countedAt = -Infinity;

  /** Notes that a node has its first user. */
  begin(node: BulkheadMember): void {
    this.#busy.add(node);
  }

  /** Notes that a node has no user any more. */
  end(node: BulkheadMember): void {
    this.#busy.delete(node);
  }

  /** Throws `overloaded` if this node is slow, and it or all slow nodes together have as many requests as they may. */
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
