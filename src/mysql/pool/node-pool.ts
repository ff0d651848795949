import { limitReached, withDeadline, type Deadline } from '../../domain/deadline.ts';
import type { ControlConnection, Node } from '../../domain/node.ts';
import type { AddressesOf } from '../driver/name-lookup.ts';
import type { ControlConnectionIds, KnownOfNode } from '../shared-connection.ts';
import type { SharedControlConnection } from '../shared-connection.ts';
import { ConnectionPool } from './connection-pool.ts';
import { NodeConnector } from './node-connector.ts';
import type { BulkheadMember, NodeCounts, NodeEvents, SlowNodeBulkhead } from './node-health.ts';

const SLOW_MS = 200;

interface Acquired {
  readonly shared: SharedControlConnection;
  /** True if it was open before. */
  readonly wasWarm: boolean;
}

/** Gives requests the control connections to one node, and limits the number of these requests. */
export class NodePool implements BulkheadMember {
  /** The node as the registry has it now: a reload can bring a new object with the same settings. */
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

  /** Returns true if an open connection answers within the timeout of a list. Never throws. The connection stays open for its users. */
  async answers(deadline: Deadline): Promise<boolean> {
    const { listTimeoutMs } = this.node;
    const sendBy = Math.min(deadline, performance.now() + listTimeoutMs);
    const best = this.#pool.best();
    if (best === undefined) return false;
    // A shorter limit would break the connection of the other users.
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
          // An open connection can have broken unnoticed, or lead to another server by now. Without a list no KILL was sent over it.
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

  /** Closes connections that must not be used any more. */
  dropStale(): void {
    this.#pool.dropStale();
  }

  /** Begins to replace connections to an address that the node's name no longer has, or to another server than the main port reaches. */
  recheck(): void {
    this.#pool.recheck();
  }

  /** Opens a connection if none is usable; never throws. */
  warm(): Promise<void> {
    return this.#connector.warm();
  }

  /** Closes the unused connections, and each other one after its last user. */
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

  /** Returns a new connection; or the best open one if that answers before, or no new one can be opened. */
  async #openOne(deadline: Deadline): Promise<Acquired> {
    const best = this.#pool.best();
    const opening = this.#connector.open();
    // It can be opened after its request has left.
    void opening.then(
      (shared) => {
        this.#pool.release(shared);
      },
      () => undefined,
    );
    // Otherwise its last user could release it just before this request uses it.
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

/** Resolves when its present statement has its answer; never if it is not usable then. */
function answering(shared: SharedControlConnection): Promise<SharedControlConnection> {
  return new Promise((resolve) => {
    shared.connection.onceAnswered(() => {
      if (shared.isUsable()) resolve(shared);
    });
  });
}
