import { setImmediate } from 'node:timers/promises';
import type { Node, ProcessList } from '../domain/node.ts';
import type { ProcessListRow } from '../domain/session.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import { requireGrants } from './grants.ts';
import type { ServerIdentity } from './identity.ts';
import { PartialProcessList, readProcessList } from './process-list.ts';
import { ServerThreads } from './server-threads.ts';

/** Reads the process list over one connection, once for all callers that arrive while another read is under way. */
export class SharedProcessList {
  readonly #connection: DriverConnection;
  readonly #identity: ServerIdentity;
  readonly #node: Node;
  readonly #part: PartialProcessList;
  readonly #threads: ServerThreads;
  #reading: Promise<ProcessList> | undefined;
  #nextReading: Promise<ProcessList> | undefined;
  /** The ids that the next list must show, unless it must be whole. */
  #wanted = new Set<bigint>();
  #isAllWanted = false;
  /** The number of rows of the last whole list. */
  #rows = 0;

  constructor(connection: DriverConnection, identity: ServerIdentity, node: Node) {
    [this.#connection, this.#identity, this.#node] = [connection, identity, node];
    this.#part = new PartialProcessList(connection, identity, node);
    this.#threads = new ServerThreads(connection, identity, node);
  }

  /**
   * Returns a list that was asked for after this call, whole or with at least the `wanted` sessions and this connection.
   * Throws `node_unavailable`, or the driver's error if the connection breaks.
   */
  read(wanted: readonly bigint[] | undefined): Promise<ProcessList> {
    if (wanted === undefined) this.#isAllWanted = true;
    else for (const id of wanted) this.#wanted.add(id);
    // A request that is alone need not wait for others.
    if (this.#reading === undefined && this.#nextReading === undefined) return this.#begin();
    this.#nextReading ??= this.#beginNext();
    return this.#nextReading;
  }

  async #beginNext(): Promise<ProcessList> {
    await this.#reading?.catch(() => undefined);
    // Requests that come together are read before the event loop turns.
    await setImmediate();
    this.#nextReading = undefined;
    return this.#begin();
  }

  #begin(): Promise<ProcessList> {
    const wanted = this.#isAllWanted ? undefined : this.#wanted;
    [this.#isAllWanted, this.#wanted] = [false, new Set()];
    const reading = this.#read(wanted);
    this.#reading = reading;
    const done = (): void => {
      if (this.#reading === reading) this.#reading = undefined;
    };
    reading.then(done, done);
    return reading;
  }

  async #read(wanted: ReadonlySet<bigint> | undefined): Promise<ProcessList> {
    const [connection, identity, node] = [this.#connection, this.#identity, this.#node];
    if (wanted !== undefined && this.#part.isWorthwhile(wanted.size, this.#rows)) {
      const part = await this.#part.read(wanted);
      if (part !== undefined) return part;
    }
    const list = await readProcessList(connection, identity.ownId, node);
    await this.#threads.addTo(list.rows);
    this.#rows = list.rows.length;
    // Without PROCESS a server lists the account's own sessions alone. A role can lose it while the connection is open.
    if (list.rows.every((row) => isUnder(node.user, row)))
      await requireGrants(connection, identity, node, Infinity);
    return list;
  }
}

function isUnder(account: string, { user }: ProcessListRow): boolean {
  return user?.toLowerCase() === account.toLowerCase();
}
