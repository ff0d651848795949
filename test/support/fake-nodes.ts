import { limitReached, type Deadline } from '../../src/domain/deadline.ts';
import type { LockReading, LockTransaction, TransactionReading } from '../../src/domain/locks.ts';
import type {
  Capabilities,
  ControlConnection,
  KillLimits,
  KillResult,
  Node,
  Nodes,
  SessionDescription,
} from '../../src/domain/node.ts';
import type { ProcessListRow, Session } from '../../src/domain/session.ts';
import { ServiceError } from '../../src/errors.ts';

/**
 * What happens to the KILL of an id, at the moment of its answer. With all but `refused` the connection is lost to us while the node still
 * has it, until somebody ends it there.
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

/** One node in memory, for faults on demand. Passes the contract suite that the real adapter passes. */
export class FakeNodes implements Nodes {
  /** The ids of all KILLs that reached the node, in their order. */
  readonly kills: bigint[] = [];
  /** How many control connections were opened. */
  connections = 0;
  /** How often the process list was read. */
  lists = 0;
  readonly faults = new Map<bigint, Fault>();
  /** Called before each list, with its number. */
  beforeList: (number: number) => void = () => undefined;
  /** Called before each KILL: it may have to wait. */
  beforeKill: () => void = () => undefined;
  isReachable = true;
  /** The time by which lists are dated, in milliseconds. */
  clock: () => number = () => performance.now();
  /** Sessions that stay listed as `Killed` after their KILL, and those whose transaction is rolled back afterwards. */
  readonly leaving = new Set<bigint>();
  readonly rollingBack = new Set<bigint>();
  /** Sessions that sleep through their first KILL. */
  readonly asleep = new Set<bigint>();
  canShowRollbacks = true;
  /** Called before each description, with the id of its session. */
  beforeDescription: (id: bigint) => void = () => undefined;
  /** The reads beside the lists, in their order. */
  readonly reads: string[] = [];
  /** What a description has beside the listed session. */
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
  /** Sessions whose KILL the node refuses, and whether it lets that be known before. */
  readonly protected = new Set<bigint>();
  canPredict = true;
  /** Whether a batch of KILLs comes back unsent. */
  handsBatchesBack = false;
  /** How many sessions were handed over in batches. */
  batched = 0;
  listsTheDying = false;
  server = 'fake';
  startedAt = 1_000_000;
  begunBy = 0;
  readonly #threads = new Map<bigint, ProcessListRow>();
  readonly #immortal = new Set<bigint>();
  /** KILLs that wait in a connection: ended with it. */
  readonly #waiting = new Map<bigint, bigint>();
  #nextId = 1000n;

  /** A client connects, or whatever thread the changes make of it; returns its id. */
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

  disconnect(id: bigint): void {
    this.#threads.delete(id);
  }

  has(id: bigint): boolean {
    return this.#threads.has(id);
  }

  /** All sessions end, and ids start over. */
  restart(): void {
    this.#threads.clear();
    this.startedAt += 1000;
    this.begunBy = this.clock() + 1000;
    this.#nextId = 1000n;
  }

  /** Carries out what waits in old connections that were not ended. */
  deliverLate(): void {
    for (const [connection, victim] of this.#waiting) {
      if (this.has(connection)) this.disconnect(victim);
    }
  }

  probe(): Promise<Capabilities> {
    const [flavour, version] = ['mysql', '8.4'] as const;
    const facts = {
      line: 'encrypted' as const,
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
    const kill = (session: Session, { sendBy, deadline }: KillLimits): KillResult => {
      this.beforeKill();
      if (this.clock() >= Math.min(sendBy, deadline)) {
        return { outcome: 'not_sent', trouble: limitReached() };
      }
      if (isGone()) return { outcome: 'not_sent', trouble: lost() };
      this.kills.push(session.id);
      const fault = this.faults.get(session.id);
      this.faults.delete(session.id);
      state.isLost = fault !== undefined && fault !== 'refused';
      return this.#killed(session.id, fault, id);
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
      kill: (session, limits) => Promise.resolve(kill(session, limits)),
      killAhead: (sessions, limits, told) => {
        let doubted = 0;
        this.batched += sessions.length;
        if (this.handsBatchesBack) return Promise.resolve(sessions);
        for (const [index, session] of sessions.entries()) {
          // What had been sent when the line broke is in doubt, and has not arrived.
          if (state.isLost && doubted < 5) {
            doubted += 1;
            this.kills.push(session.id);
            told(session, { outcome: 'unknown', trouble: lost() });
            continue;
          }
          const result = kill(session, limits);
          if (result.outcome === 'not_sent') return Promise.resolve(sessions.slice(index));
          told(session, result);
        }
        return Promise.resolve([]);
      },
      predictRefusals: (sessions, deadline) => {
        if (this.clock() >= deadline) return Promise.reject(limitReached());
        if (isGone()) return Promise.reject(lost());
        const refused = sessions.filter(({ id }) => this.canPredict && this.protected.has(id));
        return Promise.resolve(new Map(refused.map((session) => [session.id, isProtected()])));
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

  #killed(id: bigint, fault: Fault | undefined, sentOver: bigint): KillResult {
    const result: KillResult =
      fault === undefined ? this.#end(id) : { outcome: 'unknown', trouble: lost() };
    if (fault === 'refused') return { outcome: 'refused', trouble: lost() };
    if (fault === 'lost, and was carried out') this.#end(id);
    if (fault === 'lost, and marked the session') this.#mark(id);
    if (fault === 'lost, and waits in the old connection') this.#waiting.set(sentOver, id);
    if (fault === 'lost, and the old connection cannot be ended') this.#immortal.add(sentOver);
    if (fault === 'lost, and the node restarts') this.restart();
    // It has been up for long, and has sessions with the same ids.
    if (fault === 'lost, and another server takes over') this.server = 'other';
    return result;
  }

  #end(id: bigint): KillResult {
    if (!this.has(id)) return { outcome: 'not_found' };
    if (this.protected.has(id)) return { outcome: 'refused', trouble: isProtected() };
    if (this.asleep.delete(id) || this.#immortal.has(id)) return { outcome: 'killed' };
    if (this.leaving.has(id)) this.#mark(id);
    else this.disconnect(id);
    return { outcome: 'killed' };
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
