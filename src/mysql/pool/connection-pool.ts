import { isIP } from 'node:net';
import type { Node } from '../../domain/node.ts';
import type { LeasedConnection, SharedControlConnection } from '../control-connection.ts';
import type { AddressesOf } from '../driver/name-lookup.ts';
import type { ControlConnectionIds } from './control-connection-ids.ts';
import type { NodeCounts } from './node-health.ts';

/** A second connection is opened beside one that is slow to answer. */
const MAX_CONNECTIONS = 2;
const SHORTEST_PING_MS = 15_000;

/** A connection that stays open for more than one request. */
export interface PooledConnection {
  readonly shared: SharedControlConnection;
  users: number;
  timer: NodeJS.Timeout | undefined;
  /** True if the name that it was opened to leads to another address now. */
  hasMoved: boolean;
}

/** The open control connections of one node. All requests share them; idle ones are pinged, broken ones are removed. */
export class ConnectionPool {
  readonly #node: Node;
  readonly #ids: ControlConnectionIds;
  readonly #onBroken: () => void;
  readonly #addressesOf: AddressesOf;
  readonly #connections = new Set<PooledConnection>();
  #isClosed = false;

  /** Calls `onBroken` after a connection broke or was closed, and was removed. */
  constructor(
    node: Node,
    ids: ControlConnectionIds,
    onBroken: () => void,
    addressesOf: AddressesOf,
  ) {
    [this.#node, this.#ids, this.#onBroken] = [node, ids, onBroken];
    this.#addressesOf = addressesOf;
  }

  isEmpty(): boolean {
    return this.#connections.size === 0;
  }

  /** Returns true if there are as many usable connections as may be open. */
  isFull(): boolean {
    const usable = [...this.#connections].filter(isUsable);
    return usable.length >= MAX_CONNECTIONS;
  }

  /** Returns the usable connection whose present statement waits the shortest time; undefined if none is usable. */
  best(): PooledConnection | undefined {
    let best: PooledConnection | undefined;
    for (const pooled of this.#connections) {
      if (!isUsable(pooled)) continue;
      if (best === undefined || busyMs(pooled) < busyMs(best)) best = pooled;
    }
    return best;
  }

  /** Adds these connections to the counts. Returns the number of requests that use them. */
  addTo(connections: NodeCounts['connections']): number {
    let served = 0;
    for (const { shared, users } of this.#connections) {
      connections[shared.isSpare ? 'spare' : users > 0 ? 'in_use' : 'idle'] += 1;
      served += users;
    }
    return served;
  }

  /** Adds a new connection. */
  add(shared: SharedControlConnection): PooledConnection {
    const pooled: PooledConnection = { shared, users: 0, timer: undefined, hasMoved: false };
    this.#connections.add(pooled);
    this.#ids.opened(this.#node.nodeId, shared.connection, shared.identity);
    shared.connection.onceBroken(() => {
      this.#remove(pooled);
      this.#onBroken();
    });
    this.#pingLater(pooled);
    return pooled;
  }

  /** Leases one of them to a request, which must `leave` it. */
  lease(pooled: PooledConnection): LeasedConnection {
    const { shared } = pooled;
    pooled.users += 1;
    shared.connection.holdProcess(true);
    return shared.lease(() => this.#ids.of(this.#node.nodeId, shared.identity.incarnation));
  }

  /** Ends a lease. The last one closes a connection that is not to stay. */
  leave(pooled: PooledConnection): void {
    pooled.users -= 1;
    if (pooled.users > 0) return;
    pooled.shared.connection.holdProcess(false);
    this.#closeIfUnneeded(pooled);
  }

  /** Keeps a connection open until the returned function is called and its callers have begun to use the connection. */
  retain(pooled: PooledConnection): () => void {
    pooled.users += 1;
    return () => {
      setImmediate(() => {
        this.leave(pooled);
      });
    };
  }

  /** Closes an unused connection that is not to stay. Requests that wait for it use it first. */
  release(pooled: PooledConnection): void {
    this.retain(pooled)();
  }

  /** Closes the unused connections, and each other one after its last user. */
  close(): void {
    this.#isClosed = true;
    for (const pooled of this.#connections) this.#closeIfUnneeded(pooled);
  }

  /** Closes connections that must not be used any more, at once or when their last user leaves. */
  dropStale(): void {
    for (const pooled of this.#connections) if (!isUsable(pooled)) this.#closeIfUnneeded(pooled);
  }

  /** Begins to look where the names of the node lead now, and drops the connections to other addresses. */
  recheck(): void {
    for (const pooled of this.#connections) void this.#recheckAddress(pooled);
    this.dropStale();
  }

  async #recheckAddress(pooled: PooledConnection): Promise<void> {
    const { host, connection } = pooled.shared;
    const address = connection.remoteAddress;
    if (isIP(host) !== 0 || address === undefined) return;
    const addresses = await this.#addressesOf(host);
    // A name server that does not answer moves no node.
    if (addresses.length > 0) pooled.hasMoved = !addresses.includes(address);
    this.dropStale();
  }

  #closeIfUnneeded(pooled: PooledConnection): void {
    if (pooled.users > 0) return;
    if (this.#isClosed || pooled.shared.isSpare || !isUsable(pooled)) this.#close(pooled);
  }

  #close(pooled: PooledConnection): void {
    this.#remove(pooled);
    pooled.shared.connection.close();
  }

  #remove(pooled: PooledConnection): void {
    clearTimeout(pooled.timer);
    if (this.#connections.delete(pooled))
      this.#ids.closed(this.#node.nodeId, pooled.shared.connection);
  }

  #pingLater(pooled: PooledConnection): void {
    pooled.timer = setTimeout(
      () => {
        void this.#ping(pooled);
      },
      SHORTEST_PING_MS * (1 + Math.random()),
    ).unref();
  }

  async #ping(pooled: PooledConnection): Promise<void> {
    const [first] = this.#connections;
    if (pooled.users === 0 && pooled !== first) {
      this.#close(pooled);
      return;
    }
    // This breaks a connection on which no answer comes.
    await pooled.shared.connection
      .query('DO 0', this.#node.listTimeoutMs, Infinity)
      .catch(() => undefined);
    // A look-up can take longer than the time between two pings.
    void this.#recheckAddress(pooled);
    this.dropStale();
    if (this.#connections.has(pooled)) this.#pingLater(pooled);
  }
}

/** Returns true if a connection works and still reaches the node. */
export function isUsable({ shared, hasMoved }: PooledConnection): boolean {
  return !hasMoved && !shared.connection.isBroken() && shared.isCurrent();
}

/** Returns the time that its present statement has waited for an answer, in milliseconds. */
export function busyMs({ shared }: PooledConnection): number {
  return shared.connection.busyMs();
}
