import type { Incarnation } from '../domain/incarnation.ts';
import type { Deadline } from '../domain/deadline.ts';
import type { Node } from '../domain/node.ts';
import { ServiceError } from '../errors.ts';
import type { Connected } from './connected.ts';

/** Which server a connection reached: its kind, its run, and who we are on it. */
export interface ServerIdentity {
  /** The session id of this connection. */
  readonly ownId: bigint;
  readonly flavour: Flavour;
  /** As in VERSION(), such as 8.4 or 10.11. */
  readonly version: number;
  readonly incarnation: Incarnation;
}

/** Asks for one row, as text. */
type AskRow = (sql: string) => Promise<(string | null)[]>;

export type Flavour = 'mysql' | 'mariadb' | 'tidb';

/**
 * Asks the server who it is. Throws `node_unavailable` when it is another one than the registry's `server_uuid`, or when its answer makes no sense.
 * The connection id is asked for, since that of the handshake is cut to 32 bits and TiDB's have 64.
 */
export async function identify(
  connected: Connected,
  node: Node,
  deadline: Deadline,
): Promise<ServerIdentity> {
  const askRow: AskRow = (sql) => ask(connected, sql, node.listTimeoutMs, deadline);
  const [id, version] = await askRow('SELECT CONNECTION_ID(), VERSION()');
  const ownId = /^[1-9]\d*$/.test(id ?? '') ? BigInt(id ?? 0) : undefined;
  const numbers = /^(\d+)\.(\d+)/.exec(version ?? '');
  if (ownId === undefined || numbers === null) throw oddAnswer();
  const flavour = flavourOf(version ?? '');
  const release = Number(numbers[1]) * 100 + Number(numbers[2]);
  const incarnation = await askIncarnation(askRow, flavour, release);
  if (node.serverUuid !== undefined && incarnation.server !== node.serverUuid) throw otherServer();
  return { ownId, flavour, version: release, incarnation };
}

function flavourOf(version: string): Flavour {
  if (/-TiDB-/i.test(version)) return 'tidb';
  return /mariadb/i.test(version) ? 'mariadb' : 'mysql';
}

async function askIncarnation(
  askRow: AskRow,
  flavour: Flavour,
  release: number,
): Promise<Incarnation> {
  const [server, startedAt, uptime] =
    flavour === 'tidb' ? await askTidb(askRow) : await askRow(incarnationSql(flavour, release));
  const seenAt = performance.now();
  if (server == null || !/^\d+(\.0*)?$/.test(startedAt ?? '') || !/^\d+$/.test(uptime ?? '')) {
    throw oddAnswer();
  }
  return {
    server: server.toLowerCase(),
    startedAt: Math.round(Number(startedAt)),
    // Uptime is cut to whole seconds, so the start can be up to a second later than it says.
    begunBy: seenAt - Number(uptime) * 1000 + 1000,
    seenAt,
  };
}

/** One statement, so that both numbers are of one moment of the node's clock. */
function incarnationSql(flavour: Flavour, release: number): string {
  const isOld = flavour === 'mariadb' || release < 507;
  const status = isOld ? 'information_schema.GLOBAL_STATUS' : 'performance_schema.global_status';
  const server =
    flavour === 'mysql' && release >= 506
      ? '@@server_uuid'
      : "CONCAT_WS(':', @@hostname, @@port, @@server_id)";
  return `SELECT ${server}, CAST(UNIX_TIMESTAMP() - VARIABLE_VALUE AS SIGNED), VARIABLE_VALUE FROM ${status} WHERE VARIABLE_NAME = 'Uptime'`;
}

// Its status variables cannot be selected, so the clock is ours.
async function askTidb(askRow: AskRow): Promise<(string | null)[]> {
  const [server = null] = await askRow("SELECT CONCAT_WS(':', @@hostname, @@port)");
  const [, uptime = null] = await askRow("SHOW GLOBAL STATUS LIKE 'Uptime'");
  const startedAt = Math.round(Date.now() / 1000 - Number(uptime));
  return [server, startedAt.toString(), uptime];
}

async function ask(
  connected: Connected,
  sql: string,
  limitMs: number,
  deadline: Deadline,
): Promise<(string | null)[]> {
  const { rows } = await connected.query(sql, limitMs, deadline);
  return (rows[0] ?? []).map((value) =>
    value === null
      ? null
      : typeof value === 'number' || typeof value === 'string'
        ? String(value)
        : '',
  );
}

function oddAnswer(): ServiceError {
  return new ServiceError('node_unavailable', {
    'en-us': 'The node does not answer as MySQL, MariaDB or TiDB do.',
    'zh-cn': '节点的应答不符合MySQL、MariaDB或TiDB。',
  });
}

function otherServer(): ServiceError {
  return new ServiceError('node_unavailable', {
    'en-us':
      'Another server than the one with the configured server_uuid answers at the address of the node.',
    'zh-cn': '节点地址上的服务器与配置的server_uuid不符。',
  });
}
