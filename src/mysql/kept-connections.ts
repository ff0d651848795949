import { isIP, type LookupFunction } from 'node:net';
import type { ControlConnection, Node } from '../domain/node.ts';
import { lookUpName } from './driver/open-connection.ts';
import type { NodeCounts } from './node-counts.ts';
import type { OwnConnections } from './own-connections.ts';
import type { SharedConnection } from './shared-connection.ts';

/** A second one is opened beside one that is slow to answer. */
const MAX_CONNECTIONS = 2;
const SHORTEST_PING_MS = 15_000;

/** A connection that is kept for more than one request. */
export interface Kept {
  readonly shared: SharedConnection;
  users: number;
  timer: NodeJS.Timeout | undefined;
  /** Whether the name that it was opened to leads elsewhere by now. */
  hasMoved: boolean;
}

/** The open control connections of one node: shared by all requests, pinged, and forgotten when they break. */
export class KeptConnections {
  readonly #node: Node;
  readonly #own: OwnConnections;
  readonly #onBroken: () => void;
  readonly #lookup: LookupFunction;
  readonly #kept = new Set<Kept>();
  #isClosed = false;

  /** `onBroken` hears when one has broken or was closed, and is forgotten. */
  constructor(
    node: Node,
    own: OwnConnections,
    onBroken: () => void,
    lookup: LookupFunction = lookUpName,
  ) {
    [this.#node, this.#own, this.#onBroken, this.#lookup] = [node, own, onBroken, lookup];
  }

  isEmpty(): boolean {
    return this.#kept.size === 0;
  }

  /** Whether there may be no more beside those that work. */
  isFull(): boolean {
    const usable = [...this.#kept].filter(isUsable);
    return usable.length >= MAX_CONNECTIONS;
  }

  /** The one that is quickest to answer, as far as can be told, if one works. */
  best(): Kept | undefined {
    let best: Kept | undefined;
    for (const kept of this.#kept) {
      if (!isUsable(kept)) continue;
      if (best === undefined || busyMs(kept) < busyMs(best)) best = kept;
    }
    return best;
  }

  /** Adds these connections; returns how many requests use them. */
  addTo(connections: NodeCounts['connections']): number {
    let served = 0;
    for (const { shared, users } of this.#kept) {
      connections[shared.isSpare ? 'spare' : users > 0 ? 'in_use' : 'idle'] += 1;
      served += users;
    }
    return served;
  }

  /** Takes in a new one. */
  keep(shared: SharedConnection): Kept {
    const kept: Kept = { shared, users: 0, timer: undefined, hasMoved: false };
    this.#kept.add(kept);
    this.#own.opened(this.#node.nodeId, shared.connected, shared.identity);
    shared.connected.onceBroken(() => {
      this.#forget(kept);
      this.#onBroken();
    });
    this.#pingLater(kept);
    return kept;
  }

  /** Works over one of them; `onList` hears of each list that it gives. */
  async use<T>(
    kept: Kept,
    work: (connection: ControlConnection) => Promise<T>,
    onList: () => void,
  ): Promise<T> {
    const { shared } = kept;
    kept.users += 1;
    shared.connected.holdProcess(true);
    try {
      const ours = () => this.#own.of(this.#node.nodeId, shared.identity.incarnation);
      return await work(shared.lend(ours, onList));
    } finally {
      this.#leave(kept);
    }
  }

  /** Counts as a user of it until what this returns was called, and whoever goes on then has begun to use it. */
  hold(kept: Kept): () => void {
    kept.users += 1;
    return () => {
      setImmediate(() => {
        this.#leave(kept);
      });
    };
  }

  /** Lets go of one that nobody uses, if it is not to stay; others who wait for it come first. */
  giveBackSoon(kept: Kept): void {
    this.hold(kept)();
  }

  /** Closes what is not in use, and the rest when it no longer is. */
  close(): void {
    this.#isClosed = true;
    for (const kept of this.#kept) this.#giveBack(kept);
  }

  /** Closes connections that must not be used any more, at once or when their last user leaves. */
  dropStale(): void {
    for (const kept of this.#kept) if (!isUsable(kept)) this.#giveBack(kept);
  }

  /** Looks where the names of the node lead now, and drops the connections to other addresses. */
  async recheck(): Promise<void> {
    await Promise.all([...this.#kept].map((kept) => this.#recheckAddress(kept)));
    this.dropStale();
  }

  async #recheckAddress(kept: Kept): Promise<void> {
    const { host, connected } = kept.shared;
    const address = connected.remoteAddress;
    if (isIP(host) !== 0 || address === undefined) return;
    const addresses = await addressesOf(host, this.#lookup);
    // A name server that does not answer moves no node.
    if (addresses.length > 0) kept.hasMoved = !addresses.includes(address);
  }

  #leave(kept: Kept): void {
    kept.users -= 1;
    if (kept.users > 0) return;
    kept.shared.connected.holdProcess(false);
    this.#giveBack(kept);
  }

  #giveBack(kept: Kept): void {
    if (kept.users > 0) return;
    if (this.#isClosed || kept.shared.isSpare || !isUsable(kept)) this.#letGo(kept);
  }

  #letGo(kept: Kept): void {
    this.#forget(kept);
    kept.shared.connected.close();
  }

  #forget(kept: Kept): void {
    clearTimeout(kept.timer);
    if (this.#kept.delete(kept)) this.#own.closed(this.#node.nodeId, kept.shared.connected);
  }

  #pingLater(kept: Kept): void {
    kept.timer = setTimeout(
      () => {
        void this.#ping(kept);
      },
      SHORTEST_PING_MS * (1 + Math.random()),
    ).unref();
  }

  async #ping(kept: Kept): Promise<void> {
    const [first] = this.#kept;
    if (kept.users === 0 && kept !== first) {
      this.#letGo(kept);
      return;
    }
    // A line on which nothing comes back is broken by this.
    await kept.shared.connected
      .query('DO 0', this.#node.listTimeoutMs, Infinity)
      .catch(() => undefined);
    await this.#recheckAddress(kept);
    this.dropStale();
    if (this.#kept.has(kept)) this.#pingLater(kept);
  }
}

function addressesOf(host: string, lookup: LookupFunction): Promise<readonly string[]> {
  return new Promise((resolve) => {
    lookup(host, { all: true }, (_error, found) => {
      resolve(Array.isArray(found) ? found.map(({ address }) => address) : []);
    });
  });
}

function isUsable({ shared, hasMoved }: Kept): boolean {
  return !hasMoved && !shared.connected.isBroken() && shared.isCurrent();
}

/** For how many milliseconds its present statement has waited for an answer. */
export function busyMs({ shared }: Kept): number {
  return shared.connected.busyMs();
}
