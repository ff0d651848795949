import type { ControlConnection, KillResult, Node, Nodes } from '../../src/domain/node.ts';
import type { ProcessListRow } from '../../src/domain/session.ts';
import { ServiceError } from '../../src/errors.ts';

/** A fault that a real server cannot be asked for at a given moment. */
export type Fault = 'refused' | 'no answer' | 'connection lost';

/** One node in memory, for faults on demand. Passes the contract suite that the real adapter passes. */
export class FakeNodes implements Nodes {
  /** The ids of all KILLs that reached the node, in their order. */
  readonly kills: bigint[] = [];
  /** How many control connections were opened. */
  connections = 0;
  /** How often the process list was read. */
  lists = 0;
  /** What happens to the KILL of an id. */
  readonly faults = new Map<bigint, Fault>();
  /** Called before each list, and each KILL, with its number. */
  beforeList: (number: number) => void = () => undefined;
  isReachable = true;
  /** The time by which lists are dated, in milliseconds. */
  clock: () => number = () => performance.now();
  readonly #threads = new Map<bigint, ProcessListRow>();
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

  async withConnection<T>(
    node: Node,
    work: (connection: ControlConnection) => Promise<T>,
  ): Promise<T> {
    if (!this.isReachable) throw lost();
    this.connections += 1;
    const ownId = this.connect({ user: node.user, command: 'Query', info: 'SHOW PROCESSLIST' });
    try {
      return await work(this.#controlConnection(ownId));
    } finally {
      this.disconnect(ownId);
    }
  }

  #controlConnection(ownId: bigint): ControlConnection {
    let isBroken = false;
    const isGone = (): boolean => isBroken || !this.has(ownId);
    return {
      list: () => {
        const askedAt = this.clock();
        this.lists += 1;
        this.beforeList(this.lists);
        if (isGone()) return Promise.reject(lost());
        const rows = [...this.#threads.values()];
        return Promise.resolve({ ownId, rows, askedAt });
      },
      kill: ({ id }) => {
        if (isGone()) return Promise.resolve({ outcome: 'not_sent', trouble: lost() });
        this.kills.push(id);
        const fault = this.faults.get(id);
        isBroken = fault === 'no answer' || fault === 'connection lost';
        return Promise.resolve(this.#killed(id, fault));
      },
    };
  }

  #killed(id: bigint, fault: Fault | undefined): KillResult {
    if (fault === 'refused') return { outcome: 'refused', trouble: lost() };
    if (fault !== undefined) return { outcome: 'unknown', trouble: lost() };
    return { outcome: this.#threads.delete(id) ? 'killed' : 'not_found' };
  }
}

function lost(): ServiceError {
  return new ServiceError('node_unavailable', {
    'en-us': 'The connection to the node was lost.',
    'zh-cn': '与节点的连接已断开。',
  });
}
