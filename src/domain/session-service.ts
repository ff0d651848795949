import { ServiceError } from '../errors.ts';
import { NO_AUDIT, type Audit } from './audit.ts';
import type { Capabilities } from './capabilities.ts';
import type { UserSessions } from './client-filter.ts';
import type { Deadline } from './deadline.ts';
import { InternalThreadHistory } from './internal-thread-history.ts';
import { KillBatch } from './kill-batch.ts';
import type { ControlConnection, Node, NodeKey, OwnSessions } from './node.ts';
import type { NodeRegistry, Nodes, ProcessList } from './node.ts';
import { PageCache } from './page-cache.ts';
import { sessionOf, type ProcessListRow, type Session } from './session.ts';
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

/** What the service works with. */
export interface SessionServiceParts {
  readonly registry: NodeRegistry;
  readonly nodes: Nodes;
  readonly rules: SessionRules;
  /** Where kills are put on record before they are sent; nowhere by default. */
  readonly audit?: Audit;
  /** Hears of each list that shows sessions under the control account which are not ours. */
  readonly onSharedAccount?: (node: NodeKey) => void;
  /** Hears what became of each request to end sessions. */
  readonly onTerminated?: (termination: Termination) => void;
  /** Hears of each wait for sessions to leave, in milliseconds. */
  readonly onWaited?: (milliseconds: number) => void;
  /** Aborted when the service is to stop: then nothing new is begun. */
  readonly stopping?: AbortSignal;
  /** The clock, in milliseconds of `performance.now()`. */
  readonly now?: () => number;
}

/** Lists and ends the user sessions of nodes. */
export class SessionService {
  readonly #parts: Required<SessionServiceParts>;
  readonly #history = new InternalThreadHistory();
  readonly #pages = new PageCache();
  /** Many requests can share a list, and come for it one after the other. */
  #looked: UserSessions | undefined;

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
  }

  /**
   * Up to `limit` user sessions by ascending id, from the `offset`th on. Pages after the first can come from the list that the same caller
   * got a page of at most 2 s before.
   * Throws `instance_not_found`, `node_not_found`, `stopping`, `node_unavailable`.
   */
  async list(
    key: NodeKey,
    page: { readonly offset: bigint; readonly limit: number },
    { caller, deadline }: { readonly caller: string; readonly deadline: Deadline },
  ): Promise<SessionPage> {
    const node = this.#find(key);
    const reader = `${node.nodeId} ${caller}`;
    // The first page is always what the node has.
    let sorted = page.offset > 0n ? this.#pages.of(reader, this.#parts.now()) : undefined;
    if (sorted === undefined) {
      const { nodes } = this.#parts;
      const asked = this.#parts.now();
      const { ascending } = await nodes.withConnection(node, deadline, async (connection) =>
        this.#select(node, connection, await connection.list(deadline)),
      );
      sorted = ascending;
      this.#pages.keep(reader, sorted, asked);
    }
    const first = page.offset < BigInt(sorted.length) ? Number(page.offset) : sorted.length;
    const shown = sorted.slice(first, first + page.limit);
    return { sessions: shown.map(sessionOf), total: sorted.length };
  }

  /** What could be done on the node now. Throws `instance_not_found`, `node_not_found`, `stopping`. */
  async capabilities(key: NodeKey, deadline: Deadline): Promise<Capabilities> {
    return this.#parts.nodes.probe(this.#find(key), deadline);
  }

  /**
   * Ends the user sessions that have these ids, and accounts for every id.
   * Throws `instance_not_found`, `node_not_found`, `stopping`, `node_unavailable`, `audit_unavailable`: then nothing was sent.
   */
  async terminate(key: NodeKey, request: TerminationRequest): Promise<Termination> {
    const node = this.#find(key);
    const { nodes, audit, now, stopping, onWaited, onTerminated } = this.#parts;
    const batch = new KillBatch(request, {
      node,
      nodes,
      audit,
      select: (connection) => (list) => this.#select(node, connection, list),
      now,
      stopping,
      onWaited,
    });
    const termination = await batch.run();
    onTerminated(termination);
    return termination;
  }

  #find(key: NodeKey): Node {
    const node = this.#parts.registry.find(key);
    if (this.#parts.stopping.aborted) throw new ServiceError('stopping');
    return node;
  }

  #select(node: Node, connection: ControlConnection, list: ProcessList): UserSessions {
    const { rules, onSharedAccount } = this.#parts;
    const ours = connection.ours();
    const filter = {
      ownIds: new Set([...ours.ids, connection.id]),
      controlAccount: node.user,
      internalUsers: [...rules.internalUsers, ...node.internalUsers],
      requireClientPort: rules.requireClientPort,
    };
    const selected = this.#history.select(node.nodeId, connection, list, filter);
    if (this.#looked !== selected) {
      this.#looked = selected;
      // Under the control account nobody is a user session.
      if (selected.others.some(isStranger(node, ours))) onSharedAccount(node);
    }
    return selected;
  }
}

/** Whether a row is of a session under the control account that is none of ours. */
function isStranger({ user: account }: Node, ours: OwnSessions): (row: ProcessListRow) => boolean {
  const control = account.toLowerCase();
  const known = new Set([...ours.ids].map((id) => id.toString()));
  return ({ id, user }) => ours.areAll && user?.toLowerCase() === control && !known.has(id ?? '');
}
