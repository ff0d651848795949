import type { Node, ProcessList } from '../domain/node.ts';
import type { ProcessListRow } from '../domain/session.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import type { Connected, ResultSet } from './statement-queue.ts';

/**
 * The process list as this connection sees it. Throws `node_unavailable` when the answer is not what servers give, or does
 * not show this very connection: then something stands between us and the node, and ids mean nothing.
 * Plain SHOW PROCESSLIST, never FULL: one of the few statements that every server and version answers, and the node cuts the texts.
 */
export async function readProcessList(
  connection: Connected,
  ownId: bigint,
  node: Node,
): Promise<ProcessList> {
  const askedAt = performance.now();
  const rows = rowsByName(await connection.query(STATEMENT, node.listTimeoutMs, Infinity));
  const own = rows.filter(({ id }) => id === ownId.toString());
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
    "The node's process list does not show the control connection that reads it, as if a proxy stood in between, or it were shutting down.",
  'zh-cn': '节点的会话列表中没有读取它的控制连接，中间可能有代理，或节点正在关闭。',
};

const ODD_ANSWER: Sentence = {
  'en-us': 'The node gave a process list that cannot be read.',
  'zh-cn': '无法解析节点返回的会话列表。',
};

const COLUMNS = ['id', 'user', 'host', 'db', 'command', 'time', 'state', 'info'] as const;

/** The rows of a list, by the names of their columns: Percona and MariaDB add some of their own. Throws `node_unavailable`. */
export function rowsByName({ columns, rows }: ResultSet): ProcessListRow[] {
  const names = columns.map((name) => name.toLowerCase());
  const at = {} as Record<(typeof COLUMNS)[number], number>;
  for (const name of COLUMNS) {
    at[name] = names.indexOf(name);
    const isAlone = at[name] >= 0 && names.lastIndexOf(name) === at[name];
    if (!isAlone) throw new ServiceError('node_unavailable', ODD_ANSWER);
  }
  return rows.map((row) => ({
    id: textOf(row[at.id]),
    user: textOf(row[at.user]),
    host: textOf(row[at.host]),
    db: textOf(row[at.db]),
    command: textOf(row[at.command]),
    time: textOf(row[at.time]),
    state: textOf(row[at.state]),
    info: textOf(row[at.info]),
  }));
}

function textOf(value: unknown): string | null {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value.toString();
  throw new ServiceError('node_unavailable', ODD_ANSWER);
}
