import type { LookupFunction } from 'node:net';
import type { Deadline } from '../domain/deadline.ts';
import type { Capabilities } from '../domain/capabilities.ts';
import type { ControlConnection, Node, Nodes } from '../domain/node.ts';
import { lookUpName, serialAddressLookup, type AddressesOf } from './driver/name-lookup.ts';
import { NodeIdentity } from './node-identity.ts';
import { NodePool } from './pool/node-pool.ts';
import { noCounts, SlowNodeBulkhead } from './pool/node-health.ts';
import type { NodeCounts, NodeEvents } from './pool/node-health.ts';
import { probe } from './probe.ts';
import { SharedLockReads } from './shared-lock-reads.ts';
import { ControlConnectionIds, type KnownOfNode } from './shared-connection.ts';

/** `warm` connects to at most this many nodes at the same time. */
const WARMED_AT_ONCE = 32;

/** Nodes over the MySQL protocol. Each has its own connections, so that a sick node never slows the others. */
export class MysqlNodes implements Nodes {
  readonly #ids = new ControlConnectionIds();
  readonly #bulkhead = new SlowNodeBulkhead();
  readonly #pools = new Map<string, NodePool>();
  readonly #known = new Map<string, { readonly place: string; readonly known: KnownOfNode }>();
  #retained: ReadonlyMap<string, Node> | undefined;
  readonly #events: NodeEvents | undefined;

  readonly #lookup: LookupFunction | undefined;
  readonly #addressesOf: AddressesOf;

  constructor(events?: NodeEvents, lookup?: LookupFunction) {
    this.#events = events;
    this.#lookup = lookup;
    this.#addressesOf = serialAddressLookup(lookup ?? lookUpName);
  }

  withConnection<T>(
    node: Node,
    deadline: Deadline,
    work: (connection: ControlConnection) => Promise<T>,
  ): Promise<T> {
    return this.#of(node).withConnection(deadline, work);
  }

  async probe(node: Node, deadline: Deadline): Promise<Capabilities> {
    const pool = this.#of(node);
    const [found, isConnected] = await Promise.all([
      probe(node, deadline, pool.known),
      pool.answers(deadline),
    ]);
    // The probe may have found another server behind the main port than a pooled connection reaches.
    pool.dropStale();
    return { ...found, isConnected: isConnected && pool.isWarm() };
  }

  /** Connects to each of these nodes, at most 32 at a time. Never throws. Retries unreachable nodes later. */
  async warm(nodes: readonly Node[]): Promise<void> {
    const left = [...nodes];
    const warmNext = async (): Promise<void> => {
      for (let node = left.shift(); node !== undefined; node = left.shift()) {
        if (this.#isRetained(node)) await this.#of(node).warm();
      }
    };
    await Promise.all(Array.from({ length: WARMED_AT_ONCE }, warmNext));
  }

  /** Keeps the connections of these nodes, and closes those of all others. A node with changed settings counts as another node. */
  retain(nodes: readonly Node[]): void {
    this.#retained = new Map(nodes.map((node) => [node.nodeId, node]));
    for (const nodeId of this.#known.keys()) {
      if (!this.#retained.has(nodeId)) this.#known.delete(nodeId);
    }
    for (const [nodeId, pool] of this.#pools) {
      if (this.#isRetained(pool.node)) {
        pool.recheck();
        continue;
      }
      this.#pools.delete(nodeId);
      pool.close();
    }
  }

  /** Returns the counts over all nodes together. */
  counts(): NodeCounts {
    const counts = noCounts();
    for (const pool of this.#pools.values()) pool.addTo(counts);
    return counts;
  }

  close(): void {
    this.retain([]);
  }

  #of(node: Node): NodePool {
    const there = this.#pools.get(node.nodeId);
    if (there !== undefined && isSame(node, there.node)) {
      there.node = node;
      return there;
    }
    const known = this.#knownOf(node);
    const pool = new NodePool(
      node,
      this.#ids,
      this.#bulkhead,
      this.#events,
      known,
      this.#addressesOf,
    );
    if (this.#isRetained(node)) {
      there?.close();
      this.#pools.set(node.nodeId, pool);
    } else {
      // A request from before a reload can have an old node. Its connection closes after the request.
      pool.close();
    }
    return pool;
  }

  // A reload that changes only a password leaves the server of the node as it is.
  #knownOf(node: Node): KnownOfNode {
    const { host, port, admin } = node;
    const place = JSON.stringify([host, port, admin]);
    const before = this.#known.get(node.nodeId);
    if (before?.place === place) return before.known;
    const known: KnownOfNode = {
      identity: new NodeIdentity(),
      lookup: this.#lookup,
      lockReads: new SharedLockReads(),
    };
    // A request from before a reload must not replace the knowledge of the present node.
    if (this.#isRetained(node)) this.#known.set(node.nodeId, { place, known });
    return known;
  }

  #isRetained(node: Node): boolean {
    if (this.#retained === undefined) return true;
    const retained = this.#retained.get(node.nodeId);
    return retained !== undefined && isSame(retained, node);
  }
}

function isSame(one: Node, other: Node): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}
