import type { Connected } from './connected.ts';

/** How long a node may go on listing a connection that was closed. */
const LINGER_MS = 10_000;

/** The session ids of this process's control connections, by node. */
export class OwnConnections {
  readonly #ids = new Map<string, Map<Connected, bigint>>();

  readonly #opening = new Map<string, number>();

  /** A connection is being opened, until `end`: the node may list it before we know its id. */
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

  /** Those that are open, and those that were until a moment ago; undefined while one is being opened. */
  of(nodeId: string): ReadonlySet<bigint> | undefined {
    if (this.#opening.has(nodeId)) return undefined;
    return new Set(this.#ids.get(nodeId)?.values());
  }
}
