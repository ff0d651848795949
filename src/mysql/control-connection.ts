import type { LookupFunction } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { limitReached, withDeadline, type Deadline } from '../domain/deadline.ts';
import type { ControlConnection, Node, OwnSessions, ProcessList } from '../domain/node.ts';
import { openConnection, type Address } from './driver/open-connection.ts';
import { requireGrants, type Grants } from './grants.ts';
import { identify, type ServerIdentity } from './identity.ts';
import { OTHER_SERVER, type NodeIdentity } from './node-identity.ts';
import type { ProcessListRow } from '../domain/session.ts';
import { ServiceError } from '../errors.ts';
import { KillRefusals } from './kill-refusals.ts';
import { killSession, killSessionsAhead } from './kill.ts';
import { LookUp } from './lookup.ts';
import { readProcessList } from './process-list.ts';
import { nodeTrouble } from './node-trouble.ts';
import { ServerThreads } from './server-threads.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import { readTransactions } from './transactions.ts';

/** What all connections to a node have in common. */
export interface KnownOfNode {
  readonly identity: NodeIdentity;
  readonly lookup?: LookupFunction | undefined;
}

interface Opened {
  readonly connection: DriverConnection;
  readonly identity: ServerIdentity;
  readonly grants: Grants;
  readonly node: Node;
  readonly address: Address;
  readonly nodeIdentity: NodeIdentity;
}

/** A control connection that several requests share. */
export class SharedControlConnection {
  readonly identity: ServerIdentity;
  /** Whether it came in by the spare way, which is to be given back. */
  readonly isSpare: boolean;
  readonly connection: DriverConnection;
  /** Where it was opened to: a name may lead elsewhere by now. */
  readonly host: string;
  readonly #node: Node;
  readonly #nodeIdentity: NodeIdentity;
  /** The grants with which it logged in. */
  readonly #grants: Grants;
  readonly #lookUp: LookUp;
  readonly #threads: ServerThreads;
  #reading: Promise<ProcessList> | undefined;
  #nextReading: Promise<ProcessList> | undefined;
  /** For the next reading: the ids that it has to show, or all. */
  #wanted = new Set<bigint>();
  #isAllWanted = false;
  /** How many the last whole list had. */
  #rows = 0;

  private constructor({ connection, identity, grants, node, address, nodeIdentity }: Opened) {
    this.connection = connection;
    this.identity = identity;
    this.#grants = grants;
    this.#node = node;
    this.host = address.host;
    this.isSpare = address !== node;
    this.#nodeIdentity = nodeIdentity;
    this.#lookUp = new LookUp(connection, identity, node);
    this.#threads = new ServerThreads(connection, identity, node);
  }

  /**
   * Connects to the node, or to its spare port. Throws `node_unavailable` if a server answers that is not the node, or if the account lacks a
   * privilege; rejects with the driver's error if the connection cannot be had.
   */
  static async open(
    node: Node,
    address: Address,
    deadline: Deadline,
    { identity: nodeIdentity, lookup }: KnownOfNode,
  ): Promise<SharedControlConnection> {
    const connection = await openConnection(node, address, deadline, lookup);
    try {
      const found = await identify(connection, node, deadline);
      const identity = nodeIdentity.accept(found, address === node ? 'main' : 'spare', node);
      const grants = await requireGrants(connection, identity, node, deadline);
      return new SharedControlConnection({
        connection,
        identity,
        grants,
        node,
        address,
        nodeIdentity,
      });
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Returns whether it still reaches the server that the node's main port reached last. */
  isCurrent(): boolean {
    return this.#nodeIdentity.isCurrent(this.identity.incarnation);
  }

  /** Returns the connection as one request sees it. Calls `onList` for each list that the request gets. */
  lease(ours: () => OwnSessions, onList: () => void): ControlConnection {
    const { ownId, flavour, incarnation } = this.identity;
    const [node, connection] = [this.#node, this.connection];
    const unless = (): ServiceError | undefined => this.#otherServer();
    const refusals = new KillRefusals(connection, this.identity, node, this.#grants);
    return refusals.explainedBy({
      id: ownId,
      incarnation,
      listsTheDying: flavour === 'tidb',
      hidesRollbacks: flavour === 'mysql',
      ours,
      list: async (deadline, wanted) => {
        if (deadline <= performance.now()) throw limitReached();
        const list = await this.#whileCurrent(() => withDeadline(deadline, this.#list(wanted)));
        onList();
        return list;
      },
      kill: (session, limits) =>
        killSession(connection, session, flavour, node, { ...limits, unless }),
      killAhead: (sessions, limits, told) =>
        killSessionsAhead(connection, sessions, flavour, node, { ...limits, unless }, told),
      transactions: (deadline) =>
        this.#whileCurrent(() => readTransactions(connection, flavour, node, deadline)),
    });
  }

  /** Returns the answer to a read. Throws `node_unavailable` if the main port reaches another server by the time of the answer. */
  async #whileCurrent<T>(read: () => Promise<T>): Promise<T> {
    const before = this.#otherServer();
    if (before !== undefined) throw before;
    const answer = await orTrouble(this.#node, read());
    const after = this.#otherServer();
    if (after !== undefined) throw after;
    return answer;
  }

  #otherServer(): ServiceError | undefined {
    return this.isCurrent() ? undefined : new ServiceError('node_unavailable', OTHER_SERVER);
  }

  /** A caller that arrives during a read gets the next list, never one older than its request. */
  #list(wanted: readonly bigint[] | undefined): Promise<ProcessList> {
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
    const { connection, identity } = this;
    if (wanted !== undefined && this.#lookUp.isWorthwhile(wanted.size, this.#rows)) {
      const part = await this.#lookUp.read(wanted);
      if (part !== undefined) return part;
    }
    const list = await readProcessList(connection, identity.ownId, this.#node);
    await this.#threads.addTo(list.rows);
    this.#rows = list.rows.length;
    // Without PROCESS a server lists the account's own sessions alone. It can be lost with a role while the connection is warm.
    if (list.rows.every((row) => isUnder(this.#node.user, row)))
      await requireGrants(connection, identity, this.#node, Infinity);
    return list;
  }
}

function isUnder(account: string, { user }: ProcessListRow): boolean {
  return user?.toLowerCase() === account.toLowerCase();
}

async function orTrouble<T>(node: Node, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw nodeTrouble(error, node.connectTimeoutMs);
  }
}
