import { ServiceError } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import { KillBatch } from './kill-batch.ts';
import type { TransactionReading } from './locks.ts';
import type { Capabilities } from './capabilities.ts';
import type { ControlConnection, Node, NodeKey } from './node.ts';
import type { NodeRegistry, Nodes, ProcessList } from './node.ts';
import { SessionLocks } from './session-locks.ts';
import { SessionSelector, type SessionRules } from './session-snapshot.ts';
import { sessionOf, type Session } from './session.ts';
import { readTransactions } from './transactions.ts';
import { PageCache, type PagedSessions, type UserSessions } from './user-sessions.ts';
import { NO_AUDIT, type Audit, type Termination, type TerminationRequest } from './termination.ts';

/** A page of the user sessions of a node. */
export interface SessionPage {
  readonly sessions: readonly Session[];
  /** The number of user sessions that the node has in all. */
  readonly total: number;
  /** The transactions of the node; undefined unless the caller requested them. */
  readonly transactions?: TransactionReading | undefined;
}

/** The page of the user sessions that a caller requests. */
export interface PageRequest {
  readonly offset: bigint;
  readonly limit: number;
  readonly withTransactions?: boolean;
}

/** A process list with its user sessions, and the connection that read it. */
export interface Looked {
  readonly connection: ControlConnection;
  readonly list: ProcessList;
  readonly sessions: UserSessions;
}

/** A page of the nodes of a project. */
export interface NodePage {
  readonly nodes: readonly Node[];
  /** The number of nodes that the project has in all. */
  readonly total: number;
}

/** The parts that the service works with. */
export interface SessionServiceParts {
  readonly registry: NodeRegistry;
  readonly nodes: Nodes;
  readonly rules: SessionRules;
  /** The record of kills; none by default. */
  readonly audit?: Audit;
  /** Called for each list that shows a session of the control account which is not ours. */
  readonly onSharedAccount?: (node: NodeKey) => void;
  /** Called with the outcomes of each request that ends sessions. */
  readonly onTerminated?: (termination: Termination) => void;
  /** Called with the duration of each wait for sessions to leave, in milliseconds. */
  readonly onWaited?: (milliseconds: number) => void;
  /** Aborted when the service stops: new requests then fail with `stopping`. */
  readonly stopping?: AbortSignal;
  /** The clock, in milliseconds of `performance.now()`. */
  readonly now?: () => number;
}

/** Lists and ends the user sessions of nodes. */
export class SessionService {
  /** The locks that the sessions wait for. */
  readonly locks: SessionLocks;
  readonly #parts: Required<SessionServiceParts>;
  readonly #selector: SessionSelector;
  readonly #pages = new PageCache();

  constructor(parts: SessionServiceParts) {
    this.#parts = {
      audit: NO_AUDIT,
      onSharedAccount: () => undefined,
      onTerminated: () => undefined,
      onWaited: () => undefined,
      stopping: new AbortController().signal,
      now: () => performance.now(),
      ...parts,
    };
    this.#selector = new SessionSelector(parts.rules, this.#parts.onSharedAccount);
    const find = (key: NodeKey): Node => this.#find(key);
    this.locks = new SessionLocks({ nodes: parts.nodes, selector: this.#selector, find });
  }

  /**
   * Ends the user sessions that have these ids. The result has an outcome for every id.
   * Throws `instance_not_found`, `node_not_found`, `stopping`, `node_unavailable`, `audit_unavailable`: then no KILL was sent.
   */
  async terminate(key: NodeKey, request: TerminationRequest): Promise<Termination> {
    // The batch reads its own lists: no KILL relies on the pages of `list`.
    const batch = new KillBatch(request, {
      ...this.#parts,
      node: this.#find(key),
      selector: this.#selector,
    });
    const termination = await batch.run();
    this.#parts.onTerminated(termination);
    return termination;
  }

  /**
   * Returns at most `limit` user sessions by ascending id, after the first `offset` ones. A page after the first can come from the list of the
   * caller's previous page, if that list is at most 2 s old.
   * Throws `instance_not_found`, `node_not_found`, `stopping`, `node_unavailable`.
   */
  async list(
    key: NodeKey,
    { offset, limit, withTransactions = false }: PageRequest,
    { caller, deadline }: { readonly caller: string; readonly deadline: Deadline },
  ): Promise<SessionPage> {
    const node = this.#find(key);
    const reader = [node.nodeId, withTransactions, caller].join(' ');
    // The first page always shows the present sessions.
    const cached = offset > 0n ? this.#pages.get(reader, this.#parts.now()) : undefined;
    const { ascending, transactions } =
      cached ?? (await this.#readPages(node, reader, withTransactions, deadline));
    const sessions = pageOf(ascending, offset, limit).map(sessionOf);
    return { sessions, total: ascending.length, transactions };
  }

  /**
   * Runs `work` with a list that is read after this call, and returns the result of `work`.
   * Throws `instance_not_found`, `node_not_found`, `stopping`, `node_unavailable`.
   */
  async look<T>(
    key: NodeKey,
    deadline: Deadline,
    work: (looked: Looked) => Promise<T>,
  ): Promise<T> {
    return this.#look(this.#find(key), deadline, work);
  }

  /** Returns the state of the node's ports and of its control account. Throws `instance_not_found`, `node_not_found`, `stopping`. */
  async capabilities(key: NodeKey, deadline: Deadline): Promise<Capabilities> {
    return this.#parts.nodes.probe(this.#find(key), deadline);
  }

  /** Returns at most `limit` nodes of the project by instance id and node id, after the first `offset` ones. Throws `stopping`. */
  nodes(
    projectId: string,
    { offset, limit }: { readonly offset: bigint; readonly limit: number },
  ): NodePage {
    const nodes = this.#parts.registry.list(projectId);
    this.#throwIfStopping();
    return { nodes: pageOf(nodes, offset, limit), total: nodes.length };
  }

  #find(key: NodeKey): Node {
    const node = this.#parts.registry.find(key);
    this.#throwIfStopping();
    return node;
  }

  #throwIfStopping(): void {
    if (this.#parts.stopping.aborted) throw new ServiceError('stopping');
  }

  #look<T>(node: Node, deadline: Deadline, work: (looked: Looked) => Promise<T>): Promise<T> {
    return this.#parts.nodes.withConnection(node, deadline, async (connection) => {
      const list = await connection.list(deadline);
      return work({ connection, list, sessions: this.#selector.select(node, connection, list) });
    });
  }

  async #readPages(
    node: Node,
    reader: string,
    withTransactions: boolean,
    deadline: Deadline,
  ): Promise<PagedSessions> {
    const asked = this.#parts.now();
    const listed = await this.#look(node, deadline, async ({ connection, sessions }) => ({
      ascending: sessions.ascending,
      transactions: withTransactions ? await readTransactions(connection, deadline) : undefined,
    }));
    this.#pages.keep(reader, listed, asked);
    return listed;
  }
}

function pageOf<T>(all: readonly T[], offset: bigint, limit: number): readonly T[] {
  const first = offset < BigInt(all.length) ? Number(offset) : all.length;
  return all.slice(first, first + limit);
}
