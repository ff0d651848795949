import { setImmediate } from 'node:timers/promises';
import type { Node, ProcessList } from '../domain/node.ts';
import type { ProcessListRow } from '../domain/session.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { ListedThread } from './driver/list-rows.ts';
import { requireGrants } from './grants.ts';
import type { ServerIdentity } from './identity.ts';
import { PerformanceSchema } from './performance-schema.ts';

/** The longest wait for further requests that share a list. */
const MAX_GATHER_MS = 10;

/** Reads the process list over one connection, once for all callers that arrive during another read. */
export class SharedProcessList {
  readonly #connection: DriverConnection;
  readonly #identity: ServerIdentity;
  readonly #node: Node;
  readonly #schema: PerformanceSchema;
  #reading: Promise<ProcessList> | undefined;
  #nextReading: Promise<ProcessList> | undefined;
  /** The ids that the next list must show, unless it must be whole. */
  #wanted = new Set<bigint>();
  #isAllWanted = false;
  /** The number of requests that the next list answers. */
  #waiting = 0;
  /** The number of rows of the last whole list. */
  #rows = 0;

  constructor(connection: DriverConnection, identity: ServerIdentity, node: Node) {
    [this.#connection, this.#identity, this.#node] = [connection, identity, node];
    this.#schema = new PerformanceSchema(connection, identity, node);
  }

  /**
   * Returns a list that is read after this call: the whole list, or a part with at least the `wanted` sessions and this connection.
   * Throws `node_unavailable`, or the driver's error if the connection breaks.
   */
  read(wanted: readonly bigint[] | undefined): Promise<ProcessList> {
    if (wanted === undefined) this.#isAllWanted = true;
    else for (const id of wanted) this.#wanted.add(id);
    // A single request waits for no others.
    if (this.#reading === undefined && this.#nextReading === undefined) return this.#begin();
    this.#waiting += 1;
    this.#nextReading ??= this.#beginNext();
    return this.#nextReading;
  }

  async #beginNext(): Promise<ProcessList> {
    await this.#reading?.catch(() => undefined);
    await this.#gather();
    this.#waiting = 0;
    this.#nextReading = undefined;
    return this.#begin();
  }

  /** Waits until a turn of the event loop brings no further request, at most 10 ms. Requests that arrive together share a list. */
  async #gather(): Promise<void> {
    const until = performance.now() + MAX_GATHER_MS;
    for (let before = 0; before < this.#waiting && performance.now() < until;) {
      before = this.#waiting;
      await setImmediate();
    }
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
    if (wanted !== undefined && this.#schema.isQuickerFor(wanted.size, this.#rows)) {
      const part = await this.#schema.readPart(wanted);
      if (part !== undefined) return part;
    }
    const list = await readProcessList(connection, identity.ownId, node);
    await this.#schema.addThreads(list.rows);
    this.#rows = list.rows.length;
    // Without PROCESS a server lists the account's own sessions alone. A role can lose that privilege while the connection is open.
    if (list.rows.every((row) => isUnder(node.user, row)))
      await requireGrants(connection, identity, node, Infinity);
    return list;
  }
}

function isUnder(account: string, { user }: ProcessListRow): boolean {
  return user?.toLowerCase() === account.toLowerCase();
}

/**
 * Returns the process list as this connection sees it. Throws `node_unavailable` if the answer is no process list, or does not show this
 * connection. In the second case a proxy can have answered, so the ids cannot be trusted (promise 1).
 * The statement is SHOW PROCESSLIST without FULL: every server and version answers it, and the node cuts long statements.
 */
export async function readProcessList(
  connection: DriverConnection,
  ownId: bigint,
  node: Node,
): Promise<ProcessList & { readonly rows: readonly ListedThread[] }> {
  const askedAt = performance.now();
  const { columns, rows } = await connection.list(STATEMENT, node.listTimeoutMs, Infinity);
  requireColumns(columns);
  const digits = ownId.toString();
  const own = rows.filter(({ id }) => id === digits);
  if (own.length !== 1 || !own.every((row) => isThisStatement(row, node))) {
    throw new ServiceError('node_unavailable', NOT_SEEN);
  }
  return { rows, askedAt };
}

const STATEMENT = 'SHOW PROCESSLIST';

// Behind a proxy with its own ids, our id can belong to another session. A server may show a busy thread without its statement.
function isThisStatement({ user, info }: ProcessListRow, node: Node): boolean {
  if (user?.toLowerCase() !== node.user.toLowerCase()) return false;
  return info === null || info.toUpperCase().startsWith(STATEMENT);
}

const NOT_SEEN: Sentence = {
  'en-us':
    "The node's process list does not show the control connection that reads it, so its ids cannot be trusted. A proxy stands in between, the node is shutting down, or performance_schema_show_processlist is on while the performance schema is off.",
  'zh-cn':
    '节点的会话列表中没有读取它的控制连接，因此其中的ID不可信：中间有代理、节点正在关闭，或在performance_schema关闭时启用了performance_schema_show_processlist。',
};

const ODD_ANSWER: Sentence = {
  'en-us': 'The node returned a process list that cannot be read.',
  'zh-cn': '无法解析节点返回的会话列表。',
};

const COLUMNS = ['id', 'user', 'host', 'db', 'command', 'time', 'state', 'info'] as const;

/** Throws `node_unavailable` unless the names, in lower case, have each column of a process list once. Some servers add columns. */
function requireColumns(columns: readonly string[]): void {
  for (const name of COLUMNS) {
    const position = columns.indexOf(name);
    if (position < 0 || columns.lastIndexOf(name) !== position) {
      throw new ServiceError('node_unavailable', ODD_ANSWER);
    }
  }
}
