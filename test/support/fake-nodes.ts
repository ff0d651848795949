import { limitReached, type Deadline } from '../../src/domain/deadline.ts';
import type { LockReading, LockTransaction, TransactionReading } from '../../src/domain/locks.ts';
import type { Capabilities } from '../../src/domain/capabilities.ts';
import type {
  ControlConnection,
  KillLimits,
  KillResult,
  Node,
  Nodes,
  SessionDescription,
} from '../../src/domain/node.ts';
import type { ProcessListRow, Session } from '../../src/domain/session.ts';
import type { RunningStatement } from '../../src/domain/statement.ts';
import { ServiceError } from '../../src/errors.ts';

/**
 * The fault of a KILL. With all faults but `refused`, the service loses the connection, but the node keeps it until another connection
 * ends it.
 */
export type Fault =
  | 'refused'
  | 'lost, and was carried out'
  | 'lost, and marked the session'
  | 'lost, and had not arrived'
  | 'lost, and waits in the old connection'
  | 'lost, and the old connection cannot be ended'
  | 'lost, and the node restarts'
  | 'lost, and another server takes over';

/** A node in memory with faults on demand. It passes the contract suite of the MySQL adapter. */
export class FakeNodes implements Nodes {
  /** The ids of all KILLs that reached the node, in order. */
  readonly kills: bigint[] = [];
  /** The number of control connections that were opened. */
  connections = 0;
  /** The number of process lists that were read. */
  lists = 0;
  readonly faults = new Map<bigint, Fault>();
  /** Called before each list, with its number. */
  beforeList: (number: number) => void = () => undefined;
  /** Called before each look at statements. */
  beforeLook: () => void = () => undefined;
  /** Called before each KILL, for example to change the clock. */
  beforeKill: () => void = () => undefined;
  isReachable = true;
  /** The clock of the lists and limits, in milliseconds. */
  clock: () => number = () => performance.now();
  /** Sessions that stay listed as `Killed` after their KILL. */
  readonly leaving = new Set<bigint>();
  /** Sessions whose transaction is being rolled back. */
  readonly rollingBack = new Set<bigint>();
  /** Sessions that ignore their first KILL, as a MariaDB session in SLEEP can. */
  readonly asleep = new Set<bigint>();
  canShowRollbacks = true;
  /** Called before each description, with the id of its session. */
  beforeDescription: (id: bigint) => void = () => undefined;
  /** The reads beside the lists, in their order. */
  readonly reads: string[] = [];
  /** The facts that a description adds to the listed session. */
  description: Partial<SessionDescription> & Pick<SessionDescription, 'attributes'> = {
    attributes: new Map(),
  };
  /** Called before each read of the transactions: it may throw. */
  beforeTransactions: () => void = () => undefined;
  /** The open transactions, by session id. */
  readonly openTransactions = new Map<bigint, LockTransaction>();
  lockReading: LockReading = {
    rowWaits: [],
    metadataLocks: [],
    transactions: new Map(),
    prepared: new Map(),
    threadIds: new Map(),
    sources: { row: 'available', metadata: 'available' },
  };
  /** The number of the last statement of each session that ran one. */
  readonly statementIds = new Map<bigint, bigint>();
  /** Sessions whose KILL the node refuses. */
  readonly protected = new Set<bigint>();
  /** True if the node can predict its refusals. */
  canPredict = true;
  /** True if `killAhead` returns all sessions unsent. */
  handsBatchesBack = false;
  /** The number of sessions that were passed to `killAhead`. */
  batched = 0;
  listsTheDying = false;
  server = 'fake';
  startedAt = 1_000_000;
  begunBy = 0;
  readonly #threads = new Map<bigint, ProcessListRow>();
  readonly #immortal = new Set<bigint>();
  /** KILLs that wait in a lost connection, by the id of the connection. */
  readonly #waiting = new Map<bigint, bigint>();
  #nextId = 1000n;

  /** Adds a client's thread with these changes. Returns its id. */
  connect(changes: Partial<ProcessListRow> = {}): bigint {
    const id = changes.id == null ? this.#nextId++ : BigInt(changes.id);
    this.#threads.set(id, {
      user: 'app',
      host: `10.0.0.4:${50_000n + (id % 10_000n)}`,
      db: 'shop',
      command: 'Sleep',
      time: '12',
      state: '',
      info: null,
      ...changes,
      id: id.toString(),
    });
    return id;
  }

  /** The session begins this statement, or with null waits for its next one. */
  run(id: bigint, info: string | null): void {
    const row = this.#threads.get(id);
    const command = info === null ? 'Sleep' : 'Query';
    if (row) this.#threads.set(id, { ...row, command, info });
    this.statementIds.set(id, (this.statementIds.get(id) ?? 0n) + 1n);
  }

  disconnect(id: bigint): void {
    this.#threads.delete(id);
  }

  has(id: bigint): boolean {
    return this.#threads.has(id);
  }

  /** Ends all sessions and lets the ids start over. */
  restart(): void {
    this.#threads.clear();
    this.startedAt += 1000;
    this.begunBy = this.clock() + 1000;
    this.#nextId = 1000n;
  }

  /** Carries out the KILLs that wait in lost connections, unless the connection was ended. */
  deliverLate(): void {
    for (const [connection, victim] of this.#waiting) {
      if (this.has(connection)) this.disconnect(victim);
    }
  }

  probe(): Promise<Capabilities> {
    const [flavour, version] = ['mysql', '8.4'] as const;
    const facts = {
      encryption: 'encrypted' as const,
      account: 'session_control@%',
      missingGrants: [],
      canSeeRollbacks: true,
      hasSecondOpinion: false,
      cutHosts: 0,
      lacksProcedure: false,
      sources: {
        ...({ transaction: 'available', row: 'available', metadata: 'available' } as const),
        ...{ connectionAttributes: 'available' as const, optionalGrants: [] },
      },
    };
    const rest = {
      admin: 'none' as const,
      adminGrants: [],
      mainCause: undefined,
      adminCause: undefined,
      isConnected: false,
    };
    const { detail } = lost();
    return Promise.resolve(
      this.isReachable
        ? { ...rest, main: undefined, server: { flavour, version, ...facts } }
        : { ...rest, main: detail, server: undefined },
    );
  }

  async withConnection<T>(
    node: Node,
    deadline: Deadline,
    work: (connection: ControlConnection) => Promise<T>,
  ): Promise<T> {
    if (!this.isReachable) throw lost();
    if (this.clock() >= deadline) throw limitReached();
    this.connections += 1;
    const id = this.connect({ user: node.user, command: 'Query', info: 'SHOW PROCESSLIST' });
    const state = { isLost: false };
    try {
      return await work(this.#controlConnection(id, state));
    } finally {
      if (!state.isLost) this.disconnect(id);
    }
  }

  #controlConnection(id: bigint, state: { isLost: boolean }): ControlConnection {
    const { server, startedAt, begunBy } = this;
    const seenAt = this.clock();
    const isGone = (): boolean => state.isLost || !this.has(id);
    const kill = (
      session: Session,
      { sendBy, deadline }: KillLimits,
      statement?: RunningStatement,
    ): KillResult => {
      this.beforeKill();
      if (this.clock() >= Math.min(sendBy, deadline)) {
        return { outcome: 'not_sent', trouble: limitReached() };
      }
      if (isGone()) return { outcome: 'not_sent', trouble: lost() };
      this.kills.push(session.id);
      const fault = this.faults.get(session.id);
      this.faults.delete(session.id);
      state.isLost = fault !== undefined && fault !== 'refused';
      const isStatement = statement !== undefined;
      return this.#killed(session.id, fault, id, isStatement);
    };
    return {
      id,
      incarnation: { server, startedAt, run: startedAt, begunBy, seenAt },
      listsTheDying: this.listsTheDying,
      hidesRollbacks: false,
      ours: () => ({ ids: new Set([id]), areAll: true }),
      list: (deadline) => {
        if (this.clock() >= deadline) return Promise.reject(limitReached());
        const askedAt = this.clock();
        this.lists += 1;
        this.beforeList(this.lists);
        if (isGone()) return Promise.reject(lost());
        return Promise.resolve({ rows: [...this.#threads.values()], askedAt });
      },
      kill: (session, limits, statement) => Promise.resolve(kill(session, limits, statement)),
      killAhead: (sessions, limits, onResult) => {
        let doubted = 0;
        this.batched += sessions.length;
        if (this.handsBatchesBack) return Promise.resolve(sessions);
        for (const [index, session] of sessions.entries()) {
          // KILLs that were sent when the connection broke are unknown, and have not arrived.
          if (state.isLost && doubted < 5) {
            doubted += 1;
            this.kills.push(session.id);
            onResult(session, { outcome: 'unknown', trouble: lost() });
            continue;
          }
          const result = kill(session, limits);
          if (result.outcome === 'not_sent') return Promise.resolve(sessions.slice(index));
          onResult(session, result);
        }
        return Promise.resolve([]);
      },
      predictRefusals: (sessions, deadline) => {
        if (this.clock() >= deadline) return Promise.reject(limitReached());
        if (isGone()) return Promise.reject(lost());
        const refused = sessions.filter(({ id }) => this.canPredict && this.protected.has(id));
        return Promise.resolve(new Map(refused.map((session) => [session.id, isProtected()])));
      },
      statements: (sessions, deadline) => {
        if (this.clock() >= deadline) return Promise.reject(limitReached());
        if (isGone()) return Promise.reject(lost());
        this.beforeLook();
        const askedAt = this.clock();
        const running = new Map(sessions.flatMap(({ id: session }) => this.#statementOf(session)));
        return Promise.resolve({ askedAt, answeredAt: askedAt, running });
      },
      describe: (session, deadline) => {
        this.reads.push('describe');
        this.beforeDescription(session.id);
        if (this.clock() >= deadline) return Promise.reject(limitReached());
        if (isGone()) return Promise.reject(lost());
        if (!this.has(session.id)) return Promise.resolve(undefined);
        return Promise.resolve({ session, isInfoTruncated: false, ...this.description });
      },
      transactions: (deadline) => {
        this.reads.push('transactions');
        if (this.clock() >= deadline) return Promise.reject(limitReached());
        if (isGone()) return Promise.reject(lost());
        return new Promise((resolve) => {
          resolve(this.#transactions());
        });
      },
      locks: (_list, deadline) => {
        this.reads.push('locks');
        if (this.clock() >= deadline) return Promise.reject(limitReached());
        if (isGone()) return Promise.reject(lost());
        return Promise.resolve(this.lockReading);
      },
    };
  }

  #transactions(): TransactionReading {
    this.beforeTransactions();
    if (!this.canShowRollbacks) return { bySession: new Map(), source: notShown };
    const rollback: LockTransaction = {
      ...{ state: 'ROLLING BACK', seconds: 1n, rowsLocked: 1n, rowsModified: 1n },
      waitSeconds: undefined,
    };
    const rollbacks = [...this.rollingBack].map((id) => [id, rollback] as const);
    return {
      bySession: new Map([...this.openTransactions, ...rollbacks]),
      source: 'available',
    };
  }

  #killed(
    id: bigint,
    fault: Fault | undefined,
    sentOver: bigint,
    isStatement: boolean,
  ): KillResult {
    const result: KillResult =
      fault === undefined ? this.#end(id, isStatement) : { outcome: 'unknown', trouble: lost() };
    if (fault === 'refused') return { outcome: 'refused', trouble: lost() };
    if (fault === 'lost, and was carried out') this.#end(id, isStatement);
    if (fault === 'lost, and marked the session') this.#mark(id);
    if (fault === 'lost, and waits in the old connection') this.#waiting.set(sentOver, id);
    if (fault === 'lost, and the old connection cannot be ended') this.#immortal.add(sentOver);
    if (fault === 'lost, and the node restarts') this.restart();
    // The other server has been up for long, and has sessions with the same ids.
    if (fault === 'lost, and another server takes over') this.server = 'other';
    return result;
  }

  #end(id: bigint, isStatement: boolean): KillResult {
    if (!this.has(id)) return { outcome: 'not_found' };
    if (this.protected.has(id)) return { outcome: 'refused', trouble: isProtected() };
    if (this.asleep.delete(id) || this.#immortal.has(id)) return { outcome: 'killed' };
    if (isStatement) this.run(id, null);
    else if (this.leaving.has(id)) this.#mark(id);
    else this.disconnect(id);
    return { outcome: 'killed' };
  }

  #statementOf(id: bigint): [bigint, RunningStatement | 'idle'][] {
    const row = this.#threads.get(id);
    if (row === undefined) return [];
    if (row.command === 'Sleep') return [[id, 'idle']];
    const numbers = { id: this.statementIds.get(id), isClientsId: true, isKilledById: false };
    return [[id, { ...numbers, isEnding: false, info: row.info ?? '', ranMs: 0 }]];
  }

  #mark(id: bigint): void {
    const row = this.#threads.get(id);
    if (row) this.#threads.set(id, { ...row, command: 'Killed' });
  }
}

function lost(): ServiceError {
  return new ServiceError('node_unavailable', {
    'en-us': 'The connection to the node was lost.',
    'zh-cn': '与节点的连接已断开。',
  });
}

const notShown = {
  'en-us': 'The node does not show transactions.',
  'zh-cn': '节点不显示事务。',
};

function isProtected(): ServiceError {
  return new ServiceError('node_unavailable', {
    'en-us': 'The node protects a session.',
    'zh-cn': '节点保护该会话。',
  });
}
