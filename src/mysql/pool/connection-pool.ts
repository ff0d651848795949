import type { Node } from '../../domain/node.ts';
import type { LeasedConnection } from '../control-connection.ts';
import type { AddressesOf } from '../driver/name-lookup.ts';
import type { ControlConnectionIds, SharedControlConnection } from '../shared-connection.ts';
import type { NodeCounts } from './node-health.ts';

/** The second connection is for times when the first is slow to answer. */
const MAX_CONNECTIONS = 2;
const SHORTEST_PING_MS = 15_000;

/** The open control connections of one node. All requests share them. The pool pings the idle ones, and removes the broken ones. */
export class ConnectionPool {
  readonly #node: Node;
  readonly #ids: ControlConnectionIds;
  readonly #onBroken: () => void;
  readonly #addressesOf: AddressesOf;
  /** Each with the timer of its next ping. */
  readonly #connections = new Map<SharedControlConnection, NodeJS.Timeout>();
  #isClosed = false;

  /** Calls `onBroken` after it removed a connection that broke or closed. */
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

  /** Returns true if no further connection may be opened. */
  isFull(): boolean {
    return this.#usable().length >= MAX_CONNECTIONS;
  }

  /** Returns the usable connection whose present statement waits the shortest time; undefined if none is usable. */
  best(): SharedControlConnection | undefined {
    const [first, ...others] = this.#usable();
    return (
      first && others.reduce((best, next) => (next.busyMs() < best.busyMs() ? next : best), first)
    );
  }

  #usable(): SharedControlConnection[] {
    return [...this.#connections.keys()].filter((connection) => connection.isUsable());
  }

  /** Adds these connections to the counts. Returns the number of requests that use them. */
  addTo(counts: NodeCounts['connections']): number {
    let served = 0;
    for (const { isSpare, users } of this.#connections.keys()) {
      counts[isSpare ? 'spare' : users > 0 ? 'in_use' : 'idle'] += 1;
      served += users;
    }
    return served;
  }

  /** Adds a new connection. */
  add(shared: SharedControlConnection): void {
    this.#connections.set(shared, this.#pingLater(shared));
    this.#ids.opened(this.#node.nodeId, shared.connection, shared.identity);
    shared.connection.onceBroken(() => {
      this.#remove(shared);
      this.#onBroken();
    });
  }

  /** Leases a connection to a request, which must `leave` it. */
  lease(shared: SharedControlConnection): LeasedConnection {
    shared.users += 1;
    shared.connection.holdProcess(true);
    return shared.lease(() => this.#ids.of(this.#node.nodeId, shared.identity.incarnation));
  }

  /** Ends a lease. Closes the connection after its last user, unless it is to stay open. */
  leave(shared: SharedControlConnection): void {
    shared.users -= 1;
    if (shared.users > 0) return;
    shared.connection.holdProcess(false);
    this.#closeIfUnneeded(shared);
  }

  /** Keeps a connection open until the returned function is called. Requests that wait for the connection can lease it before it closes. */
  retain(shared: SharedControlConnection): () => void {
    shared.users += 1;
    return () => {
      setImmediate(() => {
        this.leave(shared);
      });
    };
  }

  /** Closes an unused connection, unless it is to stay open. Requests that wait for it can lease it first. */
  release(shared: SharedControlConnection): void {
    this.retain(shared)();
  }

  /** Closes the unused connections now, and each other connection after its last user. */
  close(): void {
    this.#isClosed = true;
    for (const shared of this.#connections.keys()) this.#closeIfUnneeded(shared);
  }

  /** Closes unusable connections, at once or after their last user. */
  dropStale(): void {
    for (const shared of this.#connections.keys()) {
      if (!shared.isUsable()) this.#closeIfUnneeded(shared);
    }
  }

  /** Begins to resolve the host names of the connections again. Drops the connections to addresses that a name no longer has. */
  recheck(): void {
    for (const shared of this.#connections.keys()) void this.#recheckAddress(shared);
    this.dropStale();
  }

  async #recheckAddress(shared: SharedControlConnection): Promise<void> {
    await shared.recheckAddress(this.#addressesOf);
    this.dropStale();
  }

  #closeIfUnneeded(shared: SharedControlConnection): void {
    if (shared.users > 0) return;
    if (this.#isClosed || shared.isSpare || !shared.isUsable()) this.#close(shared);
  }

  #close(shared: SharedControlConnection): void {
    this.#remove(shared);
    shared.connection.close();
  }

  #remove(shared: SharedControlConnection): void {
    clearTimeout(this.#connections.get(shared));
    if (this.#connections.delete(shared)) {
      this.#ids.closed(this.#node.nodeId, shared.connection);
    }
  }

  #pingLater(shared: SharedControlConnection): NodeJS.Timeout {
    const pauseMs = SHORTEST_PING_MS * (1 + Math.random());
    return setTimeout(() => void this.#ping(shared), pauseMs).unref();
  }

  async #ping(shared: SharedControlConnection): Promise<void> {
    const [first] = this.#connections.keys();
    if (shared.users === 0 && shared !== first) {
      this.#close(shared);
      return;
    }
    // The timeout breaks a connection without an answer.
    await shared.connection
      .query('DO 0', this.#node.listTimeoutMs, Infinity)
      .catch(() => undefined);
    // A look-up can take longer than the time between two pings.
    void this.#recheckAddress(shared);
    this.dropStale();
    if (this.#connections.has(shared)) this.#connections.set(shared, this.#pingLater(shared));
  }
}
