import { isIP, type LookupFunction } from 'node:net';
import type { Deadline } from '../domain/deadline.ts';
import type { Node, OwnSessions } from '../domain/node.ts';
import { isSameRun, type Incarnation } from '../domain/session.ts';
import { LeasedConnection, type LockReads, type Opened } from './control-connection.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { AddressesOf } from './driver/name-lookup.ts';
import { openConnection, type Address } from './driver/open-connection.ts';
import { requireGrants } from './grants.ts';
import { identify, type ServerIdentity } from './identity.ts';
import type { NodeIdentity } from './node-identity.ts';
import { SharedProcessList } from './process-list.ts';
import { SharedLockReads } from './shared-lock-reads.ts';

/** The parts that all connections to a node share. */
export interface KnownOfNode {
  readonly identity: NodeIdentity;
  readonly lookup?: LookupFunction | undefined;
  readonly lockReads?: LockReads | undefined;
}

/** An open control connection. Several requests can lease it at the same time. */
export class SharedControlConnection {
  readonly identity: ServerIdentity;
  readonly connection: DriverConnection;
  /** True if it was opened to the spare port: then the pool closes it after use. */
  readonly isSpare: boolean;
  /** The number of requests that use it, and of calls of `retain` on the pool. */
  users = 0;
  readonly #address: Address;
  readonly #opened: Opened;
  readonly #list: SharedProcessList;
  /** True if its host name leads to another address now. */
  #hasMoved = false;

  private constructor(opened: Opened, address: Address) {
    const { node, connection, identity } = opened;
    [this.identity, this.connection] = [identity, connection];
    [this.#opened, this.#address] = [opened, address];
    this.isSpare = address !== node;
    this.#list = new SharedProcessList(connection, identity, node);
  }

  /**
   * Connects to the node, or to its spare port. Throws `node_unavailable` if another server answers, or if the account lacks a privilege;
   * the driver's error if the connection fails.
   */
  static async open(
    node: Node,
    address: Address,
    deadline: Deadline,
    { identity: nodeIdentity, lookup, lockReads = new SharedLockReads() }: KnownOfNode,
  ): Promise<SharedControlConnection> {
    const connection = await openConnection(node, address, deadline, lookup);
    try {
      const found = await identify(connection, node, deadline);
      const identity = nodeIdentity.accept(found, address === node ? 'main' : 'spare', node);
      const grants = await requireGrants(connection, identity, node, deadline);
      const opened = { node, connection, identity, grants, nodeIdentity, lockReads };
      return new SharedControlConnection(opened, address);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Returns true if the connection works, and reaches the server that the node's main port reached last. */
  isUsable(): boolean {
    const { nodeIdentity, connection, identity } = this.#opened;
    return (
      !this.#hasMoved && !connection.isBroken() && nodeIdentity.isCurrent(identity.incarnation)
    );
  }

  /** Returns the time that the present statement has waited for its answer, in milliseconds. */
  busyMs(): number {
    return this.connection.busyMs();
  }

  /** Resolves the host name again. From then on the connection is unusable if the name no longer has its address. */
  async recheckAddress(addressesOf: AddressesOf): Promise<void> {
    const { host } = this.#address;
    const { remoteAddress } = this.connection;
    if (isIP(host) !== 0 || remoteAddress === undefined) return;
    const addresses = await addressesOf(host);
    // If no name server answers, the address of the node counts as unchanged.
    if (addresses.length > 0) this.#hasMoved = !addresses.includes(remoteAddress);
  }

  /** Returns the connection as one request sees it. */
  lease(ours: () => OwnSessions): LeasedConnection {
    return new LeasedConnection(this.#opened, this.#list, ours);
  }
}

/** A node can list a closed connection for this time, in milliseconds. */
const LINGER_MS = 10_000;

/** The session ids of this process's control connections, by node. */
export class ControlConnectionIds {
  readonly #found = new Map<string, Map<DriverConnection, ServerIdentity>>();
  readonly #opening = new Map<string, number>();

  /** Notes that a connection is opening, until `end`. The node can list it before its id is known. */
  opening(nodeId: string): { readonly end: () => void } {
    this.#opening.set(nodeId, (this.#opening.get(nodeId) ?? 0) + 1);
    return {
      end: () => {
        const left = (this.#opening.get(nodeId) ?? 1) - 1;
        if (left === 0) this.#opening.delete(nodeId);
        else this.#opening.set(nodeId, left);
      },
    };
  }

  /** Adds the id of a connection that was opened. */
  opened(nodeId: string, connection: DriverConnection, identity: ServerIdentity): void {
    const found = this.#found.get(nodeId) ?? new Map<DriverConnection, ServerIdentity>();
    this.#found.set(nodeId, found.set(connection, identity));
  }

  /** Removes the id of a connection that was closed, after 10 s. */
  closed(nodeId: string, connection: DriverConnection): void {
    setTimeout(() => {
      const found = this.#found.get(nodeId);
      found?.delete(connection);
      if (found?.size === 0) this.#found.delete(nodeId);
    }, LINGER_MS).unref();
  }

  /**
   * Returns the ids of connections to this incarnation, open or closed at most 10 s ago. In another incarnation, other sessions have these
   * ids.
   */
  of(nodeId: string, incarnation: Incarnation): OwnSessions {
    const ids = new Set<bigint>();
    for (const identity of this.#found.get(nodeId)?.values() ?? []) {
      if (isSameRun(identity.incarnation, incarnation)) ids.add(identity.ownId);
    }
    return { ids, areAll: !this.#opening.has(nodeId) };
  }
}
