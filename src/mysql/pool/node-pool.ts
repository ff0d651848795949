import { limitReached, withDeadline, type Deadline } from '../../domain/deadline.ts';
import type { ControlConnection, Node } from '../../domain/node.ts';
import type { AddressesOf } from '../driver/name-lookup.ts';
import type { ControlConnectionIds, KnownOfNode } from '../shared-connection.ts';
import type { SharedControlConnection } from '../shared-connection.ts';
import { ConnectionPool } from './connection-pool.ts';
import { NodeConnector } from './node-connector.ts';
import type { BulkheadMember, NodeCounts, NodeEvents, SlowNodeBulkhead } from './node-health.ts';

/** A node is slow if its statement or connection attempt takes at least this time, or if the last attempt failed. */
const SLOW_MS = 200;

interface Acquired {
  readonly shared: SharedControlConnection;
  /** True if it was open before. */
  readonly wasWarm: boolean;
}

/** Gives requests the control connections to one node, and limits the number of these requests. */
export class NodePool implements BulkheadMember {
  /** The node in the registry. A reload can replace the object by one with the same settings. */
  node: Node;
  readonly known: KnownOfNode;
  readonly #pool: ConnectionPool;
  readonly #connector: NodeConnector;
  readonly #bulkhead: SlowNodeBulkhead;
  #users = 0;

  constructor(
    node: Node,
    ids: ControlConnectionIds,
    bulkhead: SlowNodeBulkhead,
    events: NodeEvents | undefined,
    known: KnownOfNode,
    addressesOf: AddressesOf,
  ) {
    [this.node, this.known, this.#bulkhead] = [node, known, bulkhead];
    const onBroken = (): void => {
      this.#connector.reopenLater();
    };
    this.#pool = new ConnectionPool(node, ids, onBroken, addressesOf);
    this.#connector = new NodeConnector(node, known, this.#pool, ids, events);
  }

  /** See BulkheadMember. */
  get users(): number {
    return this.#users;
  }

  /** See BulkheadMember. */
  isSlow(): boolean {
    const best = this.#pool.best();
    if (best !== undefined) return best.busyMs() >= SLOW_MS;
    return this.#connector.breaker.hasFailed() || (this.#connector.openingMs() ?? 0) >= SLOW_MS;
  }

  /** Returns true if a usable connection is open. */
  isWarm(): boolean {
    return this.#pool.best() !== undefined;
  }

  /** Returns true if an open connection answers within the timeout of a list. Never throws. Leaves the connection open for its users. */
  async answers(deadline: Deadline): Promise<boolean> {
    const { listTimeoutMs } = this.node;
    const sendBy = Math.min(deadline, performance.now() + listTimeoutMs);
    const best = this.#pool.best();
    if (best === undefined) return false;
    // A shorter timeout would break the connection of the other users.
    const answer = best.connection.query('DO 0', listTimeoutMs, Infinity, { sendBy });
    return withDeadline(sendBy, answer).then(
      () => true,
      () => false,
    );
  }

  /** Adds the connections, the breaker and the requests of this node. */
  addTo({ connections, breakers, requests }: NodeCounts): void {
    const served = this.#pool.addTo(connections);
    if (this.#connector.openingMs() !== undefined) connections.opening += 1;
    breakers[this.#connector.breaker.state] += 1;
    requests.at_node += served;
    requests.waiting_for_connection += this.#users - served;
    if (this.#users > 0 && this.isSlow()) requests.at_slow_node += this.#users;
  }

  /** See Nodes. */
  async withConnection<T>(
    deadline: Deadline,
    work: (connection: ControlConnection) => Promise<T>,
  ): Promise<T> {
    if (deadline <= performance.now()) throw limitReached();
    this.#bulkhead.requireRoom(this);
    this.#users += 1;
    if (this.#users === 1) this.#bulkhead.begin(this);
    try {
      for (;;) {
        const { shared, wasWarm } = this.#warmOne() ?? (await this.#openOne(deadline));
        const connection = this.#pool.lease(shared);
        try {
          return await work(connection);
        } catch (error) {
          // A warm connection can be broken unnoticed, or reach another server. Before its first list it sent no KILL, so another
          // connection may try.
          if (!wasWarm || connection.hasListed || shared.isUsable()) throw error;
        } finally {
          this.#pool.leave(shared);
        }
      }
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#bulkhead.end(this);
    }
  }

  /** Closes unusable connections. */
  dropStale(): void {
    this.#pool.dropStale();
  }

  /** Begins to drop connections to an address that the node's name no longer has, or to another server than the main port reaches. */
  recheck(): void {
    this.#pool.recheck();
  }

  /** Opens a connection if none is usable; never throws. */
  warm(): Promise<void> {
    return this.#connector.warm();
  }

  /** Closes the unused connections now, and each other connection after its last user. */
  close(): void {
    this.#connector.close();
    this.#pool.close();
  }

  /** Returns the least busy connection, or undefined if a new one should be opened. */
  #warmOne(): Acquired | undefined {
    const best = this.#pool.best();
    if (best === undefined) return undefined;
    const isGood = best.busyMs() < SLOW_MS || this.#pool.isFull();
    return isGood ? { shared: best, wasWarm: true } : undefined;
  }

  /** Returns a new connection. Returns the best open one if that answers before, or if no new one can be opened. */
  async #openOne(deadline: Deadline): Promise<Acquired> {
    const best = this.#pool.best();
    const opening = this.#connector.open();
    // The connection can open after its request has left.
    void opening.then(
      (shared) => {
        this.#pool.release(shared);
      },
      () => undefined,
    );
    // Otherwise the last user of the best connection could close it just before this request uses it.
    const release = best && this.#pool.retain(best);
    try {
      const first = best === undefined ? opening : Promise.race([opening, answering(best)]);
      const shared = await withDeadline(deadline, first);
      return { shared, wasWarm: shared === best };
    } catch (error) {
      if (best === undefined || !best.isUsable()) throw error;
      return { shared: best, wasWarm: true };
    } finally {
      release?.();
    }
  }
}

/** Resolves when the present statement has its answer, if the connection is usable then. */
function answering(shared: SharedControlConnection): Promise<SharedControlConnection> {
  return new Promise((resolve) => {
    shared.connection.onceAnswered(() => {
      if (shared.isUsable()) resolve(shared);
    });
  });
}
