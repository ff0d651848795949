import { isIP } from 'node:net';
import type { Node } from '../../domain/node.ts';
import type { NodeCounts } from '../node-counts.ts';
import type { LeasedConnection, SharedControlConnection } from '../control-connection.ts';
import type { AddressesOf } from '../driver/name-lookup.ts';
import type { ControlConnectionIds } from './control-connection-ids.ts';

/** A second one is opened beside one that is slow to answer. */
const MAX_CONNECTIONS = 2;
const SHORTEST_PING_MS = 15_000;

/** A connection that stays open for more than one request. */
export interface PooledConnection {
  readonly shared: SharedControlConnection;
  users: number;
  timer: NodeJS.Timeout | undefined;
  /** Whether the name that it was opened to leads elsewhere by now. */
  hasMoved: boolean;
}

/** The open control connections of one node: shared by all requests, pinged, and forgotten when they break. */
export class ConnectionPool {
  readonly #node: Node;
  readonly #ids: ControlConnectionIds;
  readonly #onBroken: () => void;
  readonly #addressesOf: AddressesOf;
  readonly #connections = new Set<PooledConnection>();
  #isClosed = false;

  /** `onBroken` hears when one has broken or was closed, and is forgotten. */
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

  /** Whether there may be no more beside those that work. */
  isFull(): boolean {
    const usable = [...this.#connections].filter(isUsable);
    return usable.length >= MAX_CONNECTIONS;
  }

  /** The one that is quickest to answer, as far as can be told, if one works. */
  best(): PooledConnection | undefined {
    let best: PooledConnection | undefined;
    for (const pooled of this.#connections) {
      if (!isUsable(pooled)) continue;
      if (best === undefined || busyMs(pooled) < busyMs(best)) best = pooled;
    }
    return best;
  }

  /** Adds these connections; returns how many requests use them. */
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

  /** Closes what is not in use, and the rest when it no longer is. */
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
    // A line on which nothing comes back is broken by this.
    await pooled.shared.connection
      .query('DO 0', this.#node.listTimeoutMs, Infinity)
      .catch(() => undefined);
    // A look-up can take longer than the time between two pings.
    void this.#recheckAddress(pooled);
    this.dropStale();
    if (this.#connections.has(pooled)) this.#pingLater(pooled);
  }
}

/** Returns whether a connection works and still reaches the node. */
export function isUsable({ shared, hasMoved }: PooledConnection): boolean {
  return !hasMoved && !shared.connection.isBroken() && shared.isCurrent();
}

/** For how many milliseconds its present statement has waited for an answer. */
export function busyMs({ shared }: PooledConnection): number {
  return shared.connection.busyMs();
}
