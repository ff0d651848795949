import type { Connected } from './connection.ts';

/** How long a node may go on listing a connection that was closed. */
const LINGER_MS = 10_000;

/** The session ids of this process's control connections, by node. */
export class OwnConnections {
  readonly #ids = new Map<string, Map<Connected, bigint>>();

  opened(nodeId: string, connected: Connected, id: bigint): void {
    const ids = this.#ids.get(nodeId) ?? new Map<Connected, bigint>();
    this.#ids.set(nodeId, ids.set(connected, id));
  }

  closed(nodeId: string, connected: Connected): void {
    setTimeout(() => {
      const ids = this.#ids.get(nodeId);
      ids?.delete(connected);
      if (ids?.size === 0) this.#ids.delete(nodeId);
    }, LINGER_MS).unref();
  }

  /** Those that are open, and those that were until a moment ago. */
  of(nodeId: string): ReadonlySet<bigint> {
    return new Set(this.#ids.get(nodeId)?.values());
  }
}
