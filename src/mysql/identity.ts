import type { Deadline } from '../domain/deadline.ts';
import type { Node } from '../domain/node.ts';
import type { Incarnation } from '../domain/session.ts';
import { ServiceError } from '../errors.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import { serverErrorNumber } from './server-errors.ts';

/** The identity of a server, as one connection found it. */
export interface ServerIdentity {
  /** The session id of this connection, as CONNECTION_ID() returns it. */
  readonly ownId: bigint;
  /** The thread id of the greeting. It is the low 32 bits of the session id, unless a proxy greets. */
  readonly greetingId: bigint;
  readonly flavour: Flavour;
  /** The version of MySQL or MariaDB in VERSION(), as a number: 804 is 8.4. TiDB returns a version of MySQL. */
  readonly version: number;
  /** The version of the product, such as `8.4`. On TiDB it is TiDB's, or `unknown`. */
  readonly productVersion: string;
  /** `@@server_uuid`, in lower case; undefined on MariaDB, TiDB and MySQL before 5.6. */
  readonly uuid: string | undefined;
  /** `hostname:port:server_id` of the server's own variables, in lower case. */
  readonly address: string;
  readonly incarnation: Incarnation;
}

export type Flavour = 'mysql' | 'mariadb' | 'tidb';

type Row = readonly (string | null)[];
type AskRow = (sql: string) => Promise<Row>;

/**
 * Reads the identity of the server. Throws `node_unavailable` if the server does not answer as MySQL, MariaDB or TiDB do.
 * The session id comes from CONNECTION_ID(): the greeting holds 32 bits, and TiDB's ids have 64.
 */
export async function identify(
  connection: DriverConnection,
  node: Node,
  deadline: Deadline,
): Promise<ServerIdentity> {
  const askRow: AskRow = async (sql) => {
    const { rows } = await connection.query(sql, node.listTimeoutMs, deadline);
    return (rows[0] ?? []).map(textOf);
  };
  const { threadId, version: greeted } = connection.greeting;
  const row = await askIdentity(askRow, greeted);
  const seenAt = performance.now();
  const [id = '', version = '', address, uuid, now, uptime] = row;
  const release = releaseOf(version ?? '');
  if (!/^[1-9]\d*$/.test(id ?? '') || release === undefined || address == null) throw oddAnswer();
  if (!/^\d+(\.\d+)?$/.test(now ?? '') || !/^\d+$/.test(uptime ?? '')) throw oddAnswer();
  const ownId = BigInt(id ?? 0);
  // A clock that stepped back to before the server's start makes Uptime negative. The server prints it as an unsigned number.
  const seconds = Number(BigInt.asIntN(64, BigInt(uptime ?? 0)));
  return {
    ownId,
    greetingId: BigInt(threadId),
    flavour: flavourOf(version ?? ''),
    version: release,
    productVersion: productVersionIn(version ?? ''),
    uuid: uuid?.toLowerCase(),
    address: address.toLowerCase(),
    incarnation: {
      server: (uuid ?? address).toLowerCase(),
      startedAt: Math.floor(Number(now)) - seconds,
      // On MySQL and MariaDB, Uptime is the difference of two clock readings in whole seconds, so the start can be up to a second later.
      begunBy: Math.min(seenAt, seenAt - seconds * 1000 + 1000),
      seenAt,
      // NodeIdentity numbers the runs.
      run: 0,
    },
  };
}

/** Returns session id, version, address, uuid or null, and the server's clock and uptime in seconds. */
async function askIdentity(askRow: AskRow, greeted: string): Promise<Row> {
  try {
    const row = await askFor(askRow, greeted);
    if (row.length > 0) return row;
  } catch (error) {
    if (serverErrorNumber(error) === undefined) throw error;
  }
  // The greeting of a gateway can have another version than the server.
  const [version] = await askRow('SELECT VERSION()');
  return askFor(askRow, version ?? '');
}

async function askFor(askRow: AskRow, version: string): Promise<Row> {
  const flavour = flavourOf(version);
  const isOld = flavour === 'mariadb' || (releaseOf(version) ?? 0) < 507;
  const hasUuid = flavour === 'mysql' && (releaseOf(version) ?? 0) >= 506;
  const asked = `SELECT CONNECTION_ID(), VERSION(), CONCAT_WS(':', @@hostname, @@port, @@server_id), ${hasUuid ? '@@server_uuid' : 'NULL'}, UNIX_TIMESTAMP()`;
  if (flavour !== 'tidb') {
    const status = isOld ? 'information_schema.GLOBAL_STATUS' : 'performance_schema.global_status';
    // One statement, so that the node reads its clock and its uptime at the same moment.
    return askRow(`${asked}, VARIABLE_VALUE FROM ${status} WHERE VARIABLE_NAME = 'Uptime'`);
  }
  // TiDB has no table of its status variables, and its uptime is monotonic. So the monotonic clock of this process dates the start.
  const row = await askRow(asked);
  const [, uptime = null] = await askRow("SHOW GLOBAL STATUS LIKE 'Uptime'");
  const now = Math.round((performance.timeOrigin + performance.now()) / 1000);
  return [...row.slice(0, -1), now.toString(), uptime];
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}

function flavourOf(version: string): Flavour {
  if (/-TiDB-/i.test(version)) return 'tidb';
  return /mariadb/i.test(version) ? 'mariadb' : 'mysql';
}

/** Returns the major and the minor version of the product: `8.0.11-TiDB-v8.5.0` is TiDB 8.5, `8.0.11-TiDB-None` is `unknown`. */
function productVersionIn(version: string): string {
  const numbers = flavourOf(version) === 'tidb' ? /-TiDB-v?(\d+\.\d+)/i : /^(\d+\.\d+)/;
  return numbers.exec(version)?.[1] ?? 'unknown';
}

/** Returns 804 for 8.4. MariaDB's greeting has `5.5.5-` before the version; VERSION() does not. */
function releaseOf(version: string): number | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  return major === undefined ? undefined : Number(major) * 100 + Number(minor);
}

function oddAnswer(): ServiceError {
  return new ServiceError('node_unavailable', {
    'en-us': 'The node does not answer as MySQL, MariaDB or TiDB do.',
    'zh-cn': '节点的应答不符合MySQL、MariaDB或TiDB。',
  });
}
