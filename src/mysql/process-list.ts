import type { Node, ProcessList } from '../domain/node.ts';
import type { ProcessListRow } from '../domain/session.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { ListedThread } from './driver/list-reader.ts';

/**
 * The process list as this connection sees it. Throws `node_unavailable` when the answer is not what servers give, or does
 * not show this very connection: then something stands between us and the node, and ids mean nothing.
 * Plain SHOW PROCESSLIST, never FULL: one of the few statements that every server and version answers, and the node cuts the texts.
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

// Behind a proxy that has ids of its own, ours can be those of somebody else. A server may show a busy thread without its statement.
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

/** Throws `node_unavailable` when these, in lower case, do not have each column that a process list needs, once: some servers add more. */
function requireColumns(columns: readonly string[]): void {
  for (const name of COLUMNS) {
    const position = columns.indexOf(name);
    if (position < 0 || columns.lastIndexOf(name) !== position) {
      throw new ServiceError('node_unavailable', ODD_ANSWER);
    }
  }
}
