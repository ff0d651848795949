import type { Guard } from './internal-threads.ts';
import { KnownInternals } from './known-internals.ts';
import type { ControlConnection, Node, NodeKey, NodeRegistry, Nodes, ProcessList } from './node.ts';
import type { Session } from './session.ts';
import { Sweep } from './sweep.ts';
import type { Termination, TerminationRequest } from './termination.ts';

/** A page of the user sessions of a node. */
export interface SessionPage {
  readonly sessions: readonly Session[];
  /** How many user sessions the node has in all. */
  readonly total: number;
}

/** Which sessions count as internal on every node, from the configuration. */
export interface SessionRules {
  readonly internalUsers: readonly string[];
  readonly requireClientPort: boolean;
}

/** Lists and ends the user sessions of nodes. */
export class SessionService {
  readonly #registry: NodeRegistry;
  readonly #nodes: Nodes;
  readonly #rules: SessionRules;
  readonly #now: () => number;
  readonly #internals = new KnownInternals();
  readonly #onSharedAccount: (node: NodeKey) => void;

  /** `onSharedAccount` hears of each list that shows sessions under the control account which are not ours. */
  constructor(
    registry: NodeRegistry,
    nodes: Nodes,
    rules: SessionRules,
    onSharedAccount: (node: NodeKey) => void = () => undefined,
    now: () => number = () => performance.now(),
  ) {
    this.#registry = registry;
    this.#nodes = nodes;
    this.#rules = rules;
    this.#onSharedAccount = onSharedAccount;
    this.#now = now;
  }

  /**
   * Up to `limit` user sessions by ascending id, from the `offset`th on.
   * Throws `instance_not_found`, `node_not_found`, `node_unavailable`.
   */
  async list(key: NodeKey, page: { offset: bigint; limit: number }): Promise<SessionPage> {
    const node = this.#registry.find(key);
    const sessions = await this.#nodes.withConnection(node, async (connection) =>
      this.#select(node, connection, await connection.list()),
    );
    const sorted = [...sessions.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    const first = page.offset < BigInt(sorted.length) ? Number(page.offset) : sorted.length;
    return { sessions: sorted.slice(first, first + page.limit), total: sorted.length };
  }

  /**
   * Ends the user sessions that have these ids, and accounts for every id.
   * Throws `instance_not_found`, `node_not_found`, `node_unavailable`: then nothing was sent.
   */
  async terminate(key: NodeKey, request: TerminationRequest): Promise<Termination> {
    const node = this.#registry.find(key);
    const sweep = new Sweep(request, {
      node,
      nodes: this.#nodes,
      select: (connection) => (list) => this.#select(node, connection, list),
      now: this.#now,
    });
    return sweep.run();
  }

  #select(
    node: Node,
    connection: ControlConnection,
    list: ProcessList,
  ): ReadonlyMap<bigint, Session> {
    const guard: Guard = {
      ownId: connection.id,
      controlAccount: node.user,
      internalUsers: [...this.#rules.internalUsers, ...node.internalUsers],
      requireClientPort: this.#rules.requireClientPort,
    };
    const { ours } = connection;
    const isStranger = ({ id, user }: ProcessList['rows'][number]): boolean =>
      user?.toLowerCase() === node.user.toLowerCase() &&
      ours !== undefined &&
      ![...ours].some((our) => our.toString() === id);
    if (list.rows.some(isStranger)) this.#onSharedAccount(node);
    return this.#internals.select(node.nodeId, connection, list, guard);
  }
}
