import type { OwnSessions } from '../../domain/node.ts';
import { isSameRun, type Incarnation } from '../../domain/session.ts';
import type { DriverConnection } from '../driver/driver-connection.ts';
import type { ServerIdentity } from '../identity.ts';

/** A node can list a connection for this time after it was closed. */
const LINGER_MS = 10_000;

/** The session ids of this process's control connections, by node. */
export class ControlConnectionIds {
  readonly #found = new Map<string, Map<DriverConnection, ServerIdentity>>();

  readonly #opening = new Map<string, number>();

  /** Notes that a connection is being opened, until `end`: the node can list it before its id is known. */
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

  /** Returns the connections to this incarnation, open or closed at most 10 s ago. In another incarnation other sessions have these ids. */
  of(nodeId: string, incarnation: Incarnation): OwnSessions {
    const ids = new Set<bigint>();
    for (const identity of this.#found.get(nodeId)?.values() ?? []) {
      if (isSameRun(identity.incarnation, incarnation)) ids.add(identity.ownId);
    }
    return { ids, areAll: !this.#opening.has(nodeId) };
  }
}
