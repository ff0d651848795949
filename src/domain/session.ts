import { isIPv6 } from 'node:net';

/** A row of the process list as the node sent it; NULL is null. Do not spread a row: a column can be a getter. */
export interface ProcessListRow {
  readonly id: string | null;
  readonly user: string | null;
  readonly host: string | null;
  readonly db: string | null;
  readonly command: string | null;
  readonly time: string | null;
  readonly state: string | null;
  readonly info: string | null;
  /** The thread that serves the session; undefined if the node shows none. */
  readonly thread?: ServerThread | undefined;
}

/** A thread as the node's `performance_schema` shows it. */
export interface ServerThread {
  /** Its instrument, such as `thread/sql/one_connection`. */
  readonly name: string;
  /** The kind of its client's connection, such as `TCP/IP`; null for a thread that serves no client. */
  readonly connectionType: string | null;
  /** The account with which its client logged in, even inside a routine of another account; null for a thread that serves no client. */
  readonly loginUser?: string | null;
}

/** One client connected to a node. */
export interface Session {
  /** The id that KILL takes: exact, from 1 to 2^64-1, unique within an incarnation of the node. */
  readonly id: bigint;
  readonly user: string;
  /** `address:port`, or `localhost` for the node's Unix socket. */
  readonly host: string;
  readonly db: string;
  readonly command: string;
  /** Whole seconds in the present state, 0 or more. */
  readonly time: bigint;
  readonly state: string;
  /** The statement, as far as the node shows it. */
  readonly info: string;
}

/** Returns the session that a row shows. The row's id must be a decimal integer, which `userSessions` checks. */
export function sessionOf(row: ProcessListRow & { readonly id: string }): Session {
  return {
    id: BigInt(row.id),
    user: row.user ?? '',
    host: row.host ?? '',
    db: row.db ?? '',
    command: row.command ?? '',
    time: /^\d+$/.test(row.time ?? '') ? BigInt(row.time ?? 0) : 0n,
    state: row.state ?? '',
    info: row.info ?? '',
  };
}

/** Returns the port of a row's host, or undefined if the host is not surely the `address:port` of a client. */
export function clientPort(host: string): number | undefined {
  // An event worker or an applier of the account u@'fd00::a:5' shows the host `fd00::a:5`, which looks like port 5 of fd00::a. A host with
  // a zone is the address of a client: no account has a zone.
  const first = host.indexOf(':');
  const afterFirst = portFrom(host, first + 1);
  if (first > 0 && afterFirst !== undefined) return afterFirst;
  const colon = host.lastIndexOf(':');
  const port = portFrom(host, colon + 1);
  if (colon === first || port === undefined) return undefined;
  if (isIPv6(host) && !host.includes('%')) return undefined;
  // TiDB puts an IPv6 address in brackets.
  const isAddress = isIPv6(host.slice(0, colon).replace(/^\[(.*)\]$/, '$1'));
  return isAddress ? port : undefined;
}

/** MariaDB shows at most this many characters of a host with its port (10.11, measured). */
const LONGEST_HOST = 63;
/** The length of the shortest host name that leaves no room for a port of five digits. */
const SHORTEST_CUT = LONGEST_HOST - ':65535'.length + 1;

/** Returns true if the client's host name leaves no room for its port: then MariaDB drops the whole port. */
export function isCutHost(host: string): boolean {
  if (clientPort(host) !== undefined || host.length > LONGEST_HOST) return false;
  return host.length === LONGEST_HOST || (host.length > SHORTEST_CUT && host.endsWith(':'));
}

/** Returns the port from 1 to 65535 that begins at `start`, or undefined. Reads digit by digit: a list can have ten thousand ports. */
function portFrom(host: string, start: number): number | undefined {
  let port = 0;
  for (let index = start; index < host.length; index += 1) {
    const digit = host.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return undefined;
    port = 10 * port + digit;
    if (port === 0 || port > 65535) return undefined;
  }
  return port === 0 ? undefined : port;
}

/**
 * Returns true if two sessions with one id are surely the same client. A session that has entered a DEFINER routine shows its definer's
 * host: then the result is false, and the session is not killed.
 */
export function isSameSession(one: Session, other: Session): boolean {
  return one.host === other.host && (clientPort(one.host) !== undefined || one.user === other.user);
}

/**
 * Returns true if two hosts that are listed with one id belong to one session. Inside a DEFINER routine a session shows its definer's user
 * and host (measured on MySQL 9.7 and MariaDB 10.11), and keeps only its port.
 */
export function isSameEndpoint(one: string, other: string): boolean {
  const port = clientPort(one);
  return port === undefined ? one === other : port === clientPort(other);
}

/** One run of a node's server process, as a connection found it. */
export interface Incarnation {
  /** `server_uuid`, or `hostname:port:server_id`: the same after a restart. */
  readonly server: string;
  /** The start, in whole seconds of the node's own clock, which can step. */
  readonly startedAt: number;
  /** The number of the run. All connections that are proven to have reached the same run share the number. */
  readonly run: number;
  /** The latest time at which the run can have begun, in milliseconds of `performance.now()`. */
  readonly begunBy: number;
  /** The time at which the connection had identified the run, in milliseconds of `performance.now()`. */
  readonly seenAt: number;
}

/** A control connection, and the incarnation that it reached. */
interface Reached {
  /** The session id of the control connection. */
  readonly id: bigint;
  readonly incarnation: Incarnation;
}

/** A control connection that a request used from `usedAt` on, in milliseconds of `performance.now()`. */
export interface UsedConnection extends Reached {
  readonly usedAt: number;
}

/**
 * Returns true if `later` surely reaches the incarnation that `earlier` still reached at its `usedAt`.
 * A `later` connection that opened after `earlier` to the same run has a higher id. One that was identified before `usedAt` needs no higher
 * id: no connection outlasts its server process, and a server has one process at a time.
 */
export function isSameIncarnation(earlier: UsedConnection, later: Reached): boolean {
  const isOfIt = later.id > earlier.id || later.incarnation.seenAt < earlier.usedAt;
  return isOfIt && isSameRun(earlier.incarnation, later.incarnation);
}

/** Returns true if two connections are proven to have reached the same run. */
export function isSameRun(one: Incarnation, other: Incarnation): boolean {
  return one.server === other.server && one.run === other.run;
}
