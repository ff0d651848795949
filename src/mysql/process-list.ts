import { servesClient } from '../domain/internal-names.ts';
import type { Node, ProcessList } from '../domain/node.ts';
import { clientPort, type ProcessListRow } from '../domain/session.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { ListedThread } from './driver/list-rows.ts';
import type { ServerIdentity } from './identity.ts';
import { serverErrorNumber } from './server-errors.ts';
import { RETRY_AFTER_MS, threadOf } from './server-threads.ts';

/**
 * Returns the process list as this connection sees it. Throws `node_unavailable` if the answer is not a process list, or does not show this
 * connection: then a proxy stands between, and ids mean nothing (promise 1).
 * The statement is SHOW PROCESSLIST without FULL: every server and version answers it, and the node cuts the texts.
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

// Behind a proxy with ids of its own, our id can be another session's. A server may show a busy thread without its statement.
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
  'en-us': 'The node gave a process list that cannot be read.',
  'zh-cn': '无法解析节点返回的会话列表。',
};

const COLUMNS = ['id', 'user', 'host', 'db', 'command', 'time', 'state', 'info'] as const;

/** Throws `node_unavailable` unless these, in lower case, have each column of a process list once. Some servers add more. */
function requireColumns(columns: readonly string[]): void {
  for (const name of COLUMNS) {
    const position = columns.indexOf(name);
    if (position < 0 || columns.lastIndexOf(name) !== position) {
      throw new ServiceError('node_unavailable', ODD_ANSWER);
    }
  }
}

/** Below this many rows SHOW PROCESSLIST takes no longer. */
const LONG_LIST = 500;
/** Reading one id takes as long as listing this many rows (MySQL 9.7, measured). */
const ROWS_AN_ID = 16;

/** Reads single rows of the process list, with the thread of each, from MySQL's `performance_schema` by its primary key. */
export class PartialProcessList {
  readonly #connection: DriverConnection;
  readonly #ownId: string;
  readonly #node: Node;
  readonly #now: () => number;
  /** In monotonic milliseconds. */
  #readableFrom: number;

  /** `now` is a monotonic clock, in milliseconds. */
  constructor(
    connection: DriverConnection,
    { ownId, flavour }: ServerIdentity,
    node: Node,
    now = () => performance.now(),
  ) {
    [this.#connection, this.#ownId, this.#node] = [connection, ownId.toString(), node];
    this.#now = now;
    // Elsewhere it does not exist, or is slower than the whole list.
    this.#readableFrom = flavour === 'mysql' ? -Infinity : Infinity;
  }

  /** Returns true if reading this number of ids is possible, and quicker than a list that had this number of rows. */
  isWorthwhile(ids: number, rows: number): boolean {
    const isReadable = this.#now() >= this.#readableFrom;
    return isReadable && rows >= LONG_LIST && ids * ROWS_AN_ID <= rows;
  }

  /**
   * Returns the part of the process list that has these ids and our own. Undefined if it cannot be read, or does not show for each whether
   * it is a client's: then the whole list decides. Throws the driver's error if the connection breaks.
   */
  async read(ids: ReadonlySet<bigint>): Promise<ProcessList | undefined> {
    const askedAt = performance.now();
    const own = this.#ownId;
    const wanted = new Set([own, ...[...ids].map((id) => id.toString())]);
    // The server walks over all its threads for each id in each of the two tables. Our own thread is known.
    const sql = `${SELECT} IF(p.ID = ${own}, NULL, p.ID) WHERE p.ID IN (${[...wanted].join(', ')})`;
    try {
      const { rows } = await this.#connection.query(sql, this.#node.listTimeoutMs, Infinity);
      const found = rows.map(rowOf);
      if (!this.#isOwn(found.find(({ id }) => id === own))) return undefined;
      const areDecided = found.every(
        (row) => wanted.delete(row.id ?? '') && (row.id === own || isDecided(row)),
      );
      return areDecided && wanted.size === 0 ? { rows: found, askedAt, isPart: true } : undefined;
    } catch (error) {
      if (serverErrorNumber(error) === undefined) throw error;
      this.#readableFrom = this.#now() + RETRY_AFTER_MS;
      return undefined;
    }
  }

  #isOwn(row: ProcessListRow | undefined): boolean {
    if (row?.user?.toLowerCase() !== this.#node.user.toLowerCase()) return false;
    return row.info === null || SELECT.startsWith(row.info);
  }
}

const SELECT =
  'SELECT p.ID, p.USER, p.HOST, p.DB, p.COMMAND, p.TIME, p.STATE, LEFT(p.INFO, 100) AS INFO, t.NAME, t.CONNECTION_TYPE, t.PROCESSLIST_USER ' +
  'FROM performance_schema.processlist p LEFT JOIN performance_schema.threads t ON t.PROCESSLIST_ID =';

// An X Protocol client has no port here, so the whole list decides.
function isDecided({ host, thread }: ProcessListRow): boolean {
  if (thread === undefined) return false;
  return !servesClient(thread) || clientPort(host ?? '') !== undefined;
}

function rowOf(values: readonly unknown[]): ProcessListRow {
  const texts = values.map((value) => (typeof value === 'string' ? value : null));
  const [id = null, user = null, host = null, db = null, command = null, ...more] = texts;
  const [time = null, state = null, info = null, name = null, ...ofThread] = more;
  const thread = name === null ? undefined : threadOf(name, ...ofThread);
  return { id, user, host, db, command, time, state, info, thread };
}
