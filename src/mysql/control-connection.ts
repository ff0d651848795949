// A DriverConnection (driver/) sends statements. A SharedControlConnection (shared-connection.ts) holds one, with its identity and its list.
// A LeasedConnection (here) is the share of one request, behind the domain's interface ControlConnection.
import { limitReached, withDeadline, type Deadline } from '../domain/deadline.ts';
import type { LockReading, TransactionReading } from '../domain/locks.ts';
import type { ControlConnection, KillLimits, KillResult } from '../domain/node.ts';
import type { Node, OwnSessions, ProcessList, SessionDescription } from '../domain/node.ts';
import type { Incarnation, Session } from '../domain/session.ts';
import type { RunningStatement, StatementLook } from '../domain/statement.ts';
import { ServiceError } from '../errors.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { Grants } from './grants.ts';
import type { ServerIdentity } from './identity.ts';
import { KillRefusals } from './kill-refusals.ts';
import { isDenial, killSession, killSessionsAhead, type KillTarget } from './kill.ts';
import type { SendLimits } from './kill.ts';
import { OTHER_SERVER, type NodeIdentity } from './node-identity.ts';
import type { LockTarget } from './lock-statement.ts';
import { readTransactionRows, TIDB_TRANSACTIONS } from './lock-transactions.ts';
import { transactionReading, type TransactionRows } from './lock-transactions.ts';
import { readLocks } from './locks.ts';
import { nodeTrouble } from './node-trouble.ts';
import type { SharedProcessList } from './process-list.ts';
import { readDescription } from './session-description.ts';
import type { SharedLockReads } from './shared-lock-reads.ts';
import { StatementReader } from './statements.ts';

/** The reads of locks that requests to one node share. */
export type LockReads = SharedLockReads<TransactionRows, LockReading>;

/** The parts of an open control connection. */
export interface Opened {
  readonly node: Node;
  readonly connection: DriverConnection;
  readonly identity: ServerIdentity;
  /** The grants at its login. */
  readonly grants: Grants;
  readonly nodeIdentity: NodeIdentity;
  readonly lockReads: LockReads;
}

/** A control connection as one request sees it. It reads lists and sends KILLs only while it reaches the node. */
export class LeasedConnection implements ControlConnection {
  readonly id: bigint;
  readonly incarnation: Incarnation;
  readonly listsTheDying: boolean;
  readonly hidesRollbacks: boolean;
  readonly ours: () => OwnSessions;
  readonly #opened: Opened;
  readonly #list: SharedProcessList;
  readonly #target: KillTarget;
  readonly #refusals: KillRefusals;
  #hasListed = false;
  #statements: StatementReader | undefined;

  constructor(opened: Opened, list: SharedProcessList, ours: () => OwnSessions) {
    const { connection, node, identity, grants } = opened;
    const { ownId, flavour, incarnation } = identity;
    [this.id, this.incarnation, this.ours] = [ownId, incarnation, ours];
    this.listsTheDying = flavour === 'tidb';
    this.hidesRollbacks = flavour === 'mysql';
    [this.#opened, this.#list] = [opened, list];
    this.#target = { connection, flavour, node };
    this.#refusals = new KillRefusals(connection, identity, node, grants);
  }

  /** True once the request has a list. Before that, the request has sent no KILL. */
  get hasListed(): boolean {
    return this.#hasListed;
  }

  /** See ControlConnection. */
  async list(deadline: Deadline, wanted?: readonly bigint[]): Promise<ProcessList> {
    if (deadline <= performance.now()) throw limitReached();
    const list = await this.#readChecked(() => withDeadline(deadline, this.#list.read(wanted)));
    this.#hasListed = true;
    return list;
  }

  /** See ControlConnection. A KILL that the node denied had no effect. It is `not_sent` if the node may accept it over a new connection. */
  async kill(
    session: Session,
    limits: KillLimits,
    statement?: RunningStatement,
  ): Promise<KillResult> {
    const sendLimits = this.#sendLimits(limits);
    const result = await killSession(this.#target, session, sendLimits, statement);
    return this.#refusals.explain(result, limits.deadline);
  }

  /** See ControlConnection. */
  async killAhead(
    sessions: readonly Session[],
    limits: KillLimits,
    onResult: (session: Session, result: KillResult) => void,
  ): Promise<readonly Session[]> {
    // From the first denial on, results wait for its reason, so that they are reported in the order of the KILLs.
    const held: [Session, KillResult][] = [];
    const onAnswer = (session: Session, result: KillResult): void => {
      if (held.length === 0 && !isDenial(result, this.#target.node)) onResult(session, result);
      else held.push([session, result]);
    };
    const sendLimits = this.#sendLimits(limits);
    const unsent = await killSessionsAhead(this.#target, sessions, sendLimits, onAnswer);
    const again: Session[] = [];
    for (const [session, result] of held) {
      const explained = await this.#refusals.explain(result, limits.deadline);
      if (explained.outcome === 'not_sent') again.push(session);
      else onResult(session, explained);
    }
    return [...again, ...unsent];
  }

  /** See ControlConnection. */
  predictRefusals(
    sessions: readonly Session[],
    deadline: Deadline,
    areStatements?: boolean,
  ): Promise<ReadonlyMap<bigint, ServiceError>> {
    return this.#refusals.predict(sessions, deadline, areStatements);
  }

  /** See ControlConnection. */
  statements(sessions: readonly Session[], deadline: Deadline): Promise<StatementLook> {
    const { connection, identity, node } = this.#opened;
    this.#statements ??= new StatementReader(connection, identity, node, () =>
      this.#list.read(undefined),
    );
    const reader = this.#statements;
    return this.#readChecked(() => withDeadline(deadline, reader.read(sessions, deadline)));
  }

  /** See ControlConnection. */
  async describe(session: Session, deadline: Deadline): Promise<SessionDescription | undefined> {
    return this.#readChecked(() => readDescription(this.#lockTarget(deadline), session));
  }

  /** See ControlConnection. */
  async transactions(deadline: Deadline): Promise<TransactionReading> {
    if (deadline <= performance.now()) throw limitReached();
    if (this.#opened.identity.flavour === 'tidb') {
      return { bySession: new Map(), source: TIDB_TRANSACTIONS };
    }
    return transactionReading(await this.#readChecked(() => this.#transactionRows(deadline)));
  }

  /** See ControlConnection. */
  async locks({ rows }: ProcessList, deadline: Deadline): Promise<LockReading> {
    if (deadline <= performance.now()) throw limitReached();
    const { lockReads, identity } = this.#opened;
    const read = async (): Promise<LockReading> => {
      const transactions = identity.flavour === 'tidb' ? [] : await this.#transactionRows(deadline);
      return readLocks(this.#lockTarget(deadline), transactions, rows);
    };
    return this.#readChecked(() =>
      withDeadline(deadline, lockReads.locks(identity.incarnation, read)),
    );
  }

  #transactionRows(deadline: Deadline): Promise<TransactionRows> {
    const { lockReads, identity } = this.#opened;
    const read = () => readTransactionRows(this.#lockTarget(deadline));
    return withDeadline(deadline, lockReads.transactions(identity.incarnation, read));
  }

  #lockTarget(deadline: Deadline): LockTarget {
    const { connection, identity, node } = this.#opened;
    return { connection, identity, node, deadline };
  }

  /** Returns the answer to a read. Throws `node_unavailable` if the main port reaches another server before the read or after it. */
  async #readChecked<T>(read: () => Promise<T>): Promise<T> {
    const { node } = this.#opened;
    const before = this.#otherServer();
    if (before !== undefined) throw before;
    const answer = await read().catch((error: unknown) => {
      throw nodeTrouble(error, node.connectTimeoutMs);
    });
    const after = this.#otherServer();
    if (after !== undefined) throw after;
    return answer;
  }

  /** Promise 1: adds a check at the moment of sending. It stops a KILL once the main port reaches another server. */
  #sendLimits(limits: KillLimits): SendLimits {
    return { ...limits, unless: () => this.#otherServer() };
  }

  #otherServer(): ServiceError | undefined {
    const { nodeIdentity, identity } = this.#opened;
    if (nodeIdentity.isCurrent(identity.incarnation)) return undefined;
    return new ServiceError('node_unavailable', OTHER_SERVER);
  }
}
