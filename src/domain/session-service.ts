import type { ServiceError } from '../errors.ts';
import { FreshSessions } from './fresh-sessions.ts';
import { userSessions, type Guard } from './internal-threads.ts';
import type {
  KillOutcome,
  KillResult,
  Node,
  NodeKey,
  NodeRegistry,
  Nodes,
  ProcessList,
} from './node.ts';
import type { Session } from './session.ts';

/** A KILL that was due, and what came of it: for the record. */
export interface Kill extends KillResult {
  readonly node: NodeKey;
  readonly session: Session;
}

/** What became of each requested id; every distinct one stands in exactly one of the four, in the order of the request. */
export interface Termination {
  readonly killed: readonly bigint[];
  /** No user session has this id; an internal thread counts as none. */
  readonly notFound: readonly bigint[];
  /** Alive: the node refused the KILL, or never got it. */
  readonly failed: readonly bigint[];
  /** The KILL was sent, and no answer came back. */
  readonly unknown: readonly bigint[];
  /** The first thing that stood in the way, when there are failed or unknown ids. */
  readonly trouble: ServiceError | undefined;
}

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

  constructor(
    registry: NodeRegistry,
    nodes: Nodes,
    rules: SessionRules,
    now: () => number = () => performance.now(),
  ) {
    this.#registry = registry;
    this.#nodes = nodes;
    this.#rules = rules;
    this.#now = now;
  }

  /**
   * Up to `limit` user sessions by ascending id, from the `offset`th on.
   * Throws `instance_not_found`, `node_not_found`, `node_unavailable`.
   */
  async list(key: NodeKey, page: { offset: bigint; limit: number }): Promise<SessionPage> {
    const node = this.#registry.find(key);
    const sessions = await this.#nodes.withConnection(node, async (connection) =>
      this.#userSessions(node, await connection.list()),
    );
    const sorted = [...sessions.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    const first = page.offset < BigInt(sorted.length) ? Number(page.offset) : sorted.length;
    return { sessions: sorted.slice(first, first + page.limit), total: sorted.length };
  }

  /**
   * Ends the user sessions that have these ids, and accounts for every id; `record` hears of each KILL at once.
   * Throws `instance_not_found`, `node_not_found`, `node_unavailable`: then nothing was sent.
   */
  async terminate(
    key: NodeKey,
    ids: readonly bigint[],
    record: (kill: Kill) => void,
  ): Promise<Termination> {
    const node = this.#registry.find(key);
    const results = new Map<bigint, KillResult>();
    await this.#nodes.withConnection(node, async (connection) => {
      const sessions = await FreshSessions.read(
        connection,
        (list) => this.#userSessions(node, list),
        this.#now,
      );
      for (const id of new Set(ids)) {
        const session = sessions.meant.get(id);
        if (session === undefined) {
          results.set(id, { outcome: 'not_found' });
          continue;
        }
        const result = await sessions.end(session);
        results.set(id, result);
        if (result.outcome !== 'not_found') record({ ...result, node, session });
      }
    });
    return terminationOf(results);
  }

  #userSessions(node: Node, list: ProcessList): ReadonlyMap<bigint, Session> {
    const guard: Guard = {
      ownId: list.ownId,
      controlAccount: node.user,
      internalUsers: [...this.#rules.internalUsers, ...node.internalUsers],
      requireClientPort: this.#rules.requireClientPort,
    };
    return userSessions(list.rows, guard);
  }
}

function terminationOf(results: ReadonlyMap<bigint, KillResult>): Termination {
  const idsWith = (...outcomes: KillOutcome[]): bigint[] =>
    [...results].filter(([, { outcome }]) => outcomes.includes(outcome)).map(([id]) => id);
  return {
    killed: idsWith('killed'),
    notFound: idsWith('not_found'),
    failed: idsWith('refused', 'not_sent'),
    unknown: idsWith('unknown'),
    trouble: [...results.values()].find((result) => result.trouble !== undefined)?.trouble,
  };
}
