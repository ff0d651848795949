import { setImmediate } from 'node:timers/promises';
import { by, limitReached, type Deadline } from '../domain/deadline.ts';
import type { ControlConnection, Node, OwnSessions, ProcessList } from '../domain/node.ts';
import { openConnection, type Address } from './connection.ts';
import { requireGrants } from './grants.ts';
import { identify, type ServerIdentity } from './identity.ts';
import { killSession, killSessionsAhead } from './kill.ts';
import { LookUp } from './lookup.ts';
import { readProcessList } from './process-list.ts';
import { nodeTrouble, serverErrorNumber } from './server-errors.ts';
import type { Connected } from './connected.ts';
import { readTransactions } from './transactions.ts';

/** A control connection that several requests share. */
export class SharedConnection {
  readonly identity: ServerIdentity;
  /** Whether it came in by the spare way, which is to be given back. */
  readonly isSpare: boolean;
  readonly connected: Connected;
  readonly #node: Node;
  readonly #lookUp: LookUp;
  #reading: Promise<ProcessList> | undefined;
  #nextReading: Promise<ProcessList> | undefined;
  /** For the next reading: the ids that it has to show, or all. */
  #wanted = new Set<bigint>();
  #isAllWanted = false;
  /** How many the last whole list had. */
  #rows = 0;

  private constructor(
    connected: Connected,
    identity: ServerIdentity,
    node: Node,
    isSpare: boolean,
  ) {
    this.connected = connected;
    this.identity = identity;
    this.#node = node;
    this.isSpare = isSpare;
    this.#lookUp = new LookUp(connected, identity, node);
  }

  /** Connects, and makes sure of who is there and what the account may do. Throws `node_unavailable`, or what connecting throws. */
  static async open(node: Node, address: Address, deadline: Deadline): Promise<SharedConnection> {
    const connected = await openConnection(node, address, deadline);
    try {
      const identity = await identify(connected, node, deadline);
      await requireGrants(connected, identity, node, deadline);
      if (identity.flavour === 'mariadb') await takeTime(connected, node, deadline);
      return new SharedConnection(connected, identity, node, address !== node);
    } catch (error) {
      connected.close();
      throw error;
    }
  }

  /** As one request sees it; `onList` hears of each list that it got. */
  lend(ours: () => OwnSessions, onList: () => void): ControlConnection {
    const { ownId, flavour, incarnation } = this.identity;
    const [node, connected] = [this.#node, this.connected];
    return {
      id: ownId,
      incarnation,
      listsTheDying: flavour === 'tidb',
      hidesRollbacks: flavour === 'mysql',
      ours,
      list: async (deadline, wanted) => {
        if (deadline <= performance.now()) throw limitReached();
        const list = await orTrouble(node, by(deadline, this.#list(wanted)));
        onList();
        return list;
      },
      kill: (session, limits) => killSession(connected, session, flavour, node, limits),
      killAhead: (sessions, limits, told) =>
        killSessionsAhead(connected, sessions, flavour, node, limits, told),
      transactions: (deadline) =>
        orTrouble(node, readTransactions(connected, flavour, node, deadline)),
    };
  }

  /** Who asks while a list is being read gets the next one, which is not older than the question. */
  #list(wanted: readonly bigint[] | undefined): Promise<ProcessList> {
    if (wanted === undefined) this.#isAllWanted = true;
    else for (const id of wanted) this.#wanted.add(id);
    // Who is alone need not wait for others to come.
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
    const { connected, identity } = this;
    if (wanted !== undefined && this.#lookUp.isWorthwhile(wanted.size, this.#rows)) {
      const part = await this.#lookUp.read(wanted);
      if (part !== undefined) return part;
    }
    const list = await readProcessList(connected, identity.ownId, this.#node);
    this.#rows = list.rows.length;
    return list;
  }
}

/** MariaDB's limit for statements, of an account or for all, would cut off a KILL that has marked its session and then waits. */
async function takeTime(connected: Connected, node: Node, deadline: Deadline): Promise<void> {
  try {
    await connected.query('SET SESSION max_statement_time = 0', node.listTimeoutMs, deadline);
  } catch (error) {
    // A MariaDB before 10.1 has no such limit.
    if (serverErrorNumber(error) === undefined) throw error;
  }
}

async function orTrouble<T>(node: Node, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw nodeTrouble(error, node.connectTimeoutMs);
  }
}
