import { connect as connectSocket, isIP, type LookupFunction } from 'node:net';
import { TLSSocket } from 'node:tls';
import { isNativeError } from 'node:util/types';
import { authPlugins, createConnection, type AuthPlugin, type SslOptions } from 'mysql2';
import { limitReached, type Deadline } from '../../domain/deadline.ts';
import { isLoopback, type Node, type VerifiedTls } from '../../domain/node.ts';
import { CertificateError, codeOf, KeylessError } from './driver-connection.ts';
import type { DriverConnection } from './driver-connection.ts';
import { streamOf } from './mysql2-commands.ts';
import { lookUpName } from './name-lookup.ts';
import { Mysql2Connection } from './mysql2-connection.ts';

/** The address of the node's main port or of its spare port. */
export type Address = Pick<Node, 'host' | 'port'>;

/**
 * Connects to a node, logs in and sets the session variables that the service relies on. Throws the driver's error, which `withoutTls` describes.
 * If the node's TLS is `offered`, a connection without TLS is made only to loopback, and only if the node offers none.
 */
export async function openConnection(
  node: Node,
  address: Address,
  deadline: Deadline,
  lookup: LookupFunction = lookUpName,
): Promise<DriverConnection> {
  const connection = await logIn({ node, address, deadline, lookup });
  try {
    await connection.query(SESSION_SETTINGS, node.listTimeoutMs, deadline);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * Replaces every inherited default that could change the answers, or end the connection or a KILL. One statement serves all servers.
 * - NAMES: account names must arrive in UTF-8, also after an `init_connect`.
 * - sql_mode: ANSI_QUOTES and ORACLE change how SHOW GRANTS quotes.
 * - sql_select_limit, sql_big_selects (which lifts max_join_size): both cut or refuse lists.
 * - autocommit: otherwise a CALL leaves a transaction open. wait_timeout, in seconds: a warm connection must stay open.
 * - max_execution_time, max_statement_time: they could end a KILL that has marked its session and waits.
 * Only MySQL 5.7.8 and newer, and TiDB, read the first comment; only MariaDB 10.1.1 and newer reads the second.
 */
const SESSION_SETTINGS = [
  "SET NAMES utf8mb4, sql_mode = '', sql_select_limit = 18446744073709551615, sql_big_selects = 1,",
  "autocommit = 1, time_zone = 'SYSTEM', wait_timeout = 28800",
  '/*!50708 , max_execution_time = 0 */ /*M!100101 , max_statement_time = 0 */',
].join(' ');

async function logIn(to: Target): Promise<DriverConnection> {
  const { node, address } = to;
  if (node.tls === 'disabled') return connect(to, undefined);
  if (node.tls !== 'offered') return connect(to, verifying(to, node.tls));
  try {
    return await connect(to, { rejectUnauthorized: false });
  } catch (error) {
    if (codeOf(error) !== 'HANDSHAKE_NO_SSL_SUPPORT' || !isLoopback(address.host)) throw error;
    return connect(to, undefined);
  }
}

interface Target {
  readonly node: Node;
  readonly address: Address;
  readonly deadline: Deadline;
  readonly lookup: LookupFunction;
}

// mysql2 compares a certificate only with a host name. For an IP address, the check of the authority must suffice.
function verifying(to: Target, { ca, client }: VerifiedTls): SslOptions {
  const verifyIdentity = isIP(certificateName(to)) === 0;
  return { ca, ...client, rejectUnauthorized: true, verifyIdentity };
}

function certificateName({ node, address }: Target): string {
  return (typeof node.tls === 'object' ? node.tls.serverName : undefined) ?? address.host;
}

async function connect(to: Target, ssl: SslOptions | undefined): Promise<DriverConnection> {
  const { node, address, deadline, lookup } = to;
  const { host, port } = address;
  const connection = createConnection({
    host: certificateName(to),
    port,
    user: node.user,
    password: node.password,
    stream: () => connectSocket({ port, host, lookup }).setNoDelay(true).setKeepAlive(true, 10_000),
    connectTimeout: timeFor(node.connectTimeoutMs, deadline),
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    jsonStrings: true,
    rowsAsArray: true,
    // mysql2 must not compile code from a server's text. mysql2-commands.ts reads the lists.
    disableEval: true,
    // 0 would mean 16,000 statements, and half a megabyte for each connection.
    maxPreparedStatements: 1,
    multipleStatements: false,
    // Without attributes a statement is its text alone: mysql2-commands.ts relies on that, and on the EOF packet behind the columns.
    flags: ['-LOCAL_FILES', '-CLIENT_QUERY_ATTRIBUTES', '-DEPRECATE_EOF'],
    trace: false,
    charset: 'utf8mb4',
    connectAttributes: { program_name: 'session-control' },
    ...(ssl ? { ssl } : { authPlugins: KEYLESS }),
  });
  // After packets in the wrong order every answer on this connection is doubtful.
  connection.on('warn', (warning: Error) => streamOf(connection).destroy(warning));
  try {
    await new Promise<void>((resolve, reject) => {
      // This listener stays: a second 'error' without a listener would end the process.
      connection.on('error', (error: Error) => {
        reject(error);
        // After an odd answer mysql2 leaves the connection open.
        streamOf(connection).destroy();
      });
      connection.once('connect', () => {
        resolve();
      });
    });
  } catch (error) {
    const stream = streamOf(connection);
    stream.destroy();
    // mysql2 replaces the code of the certificate's error with its own.
    const isUnverified = stream instanceof TLSSocket && Boolean(stream.authorizationError);
    if (isUnverified && typeof node.tls === 'object') throw new CertificateError(error);
    if (ssl === undefined && isNativeError(error)) Object.assign(error, { withoutTls: node.tls });
    throw error;
  }
  return new Mysql2Connection(connection);
}

/** Returns the time limit for connecting, in whole milliseconds, at least one. Throws `node_unavailable` past the deadline. */
function timeFor(limitMs: number, deadline: Deadline): number {
  const left = Math.ceil(deadline - performance.now());
  if (left <= 0) throw limitReached();
  return Math.min(limitMs, left);
}

/**
 * Without TLS, mysql2 would accept the public key of any server that answers, and send the password encrypted with it. Without the key the
 * login works only while the node caches the account, after a login over TLS.
 */
const KEYLESS = {
  caching_sha2_password: withoutKey(authPlugins.caching_sha2_password()),
  sha256_password: withoutKey(authPlugins.sha256_password()),
};

function withoutKey(plugin: AuthPlugin): AuthPlugin {
  return (login) => {
    const answerTo = plugin(login);
    return (data) => {
      const answer = answerTo(data);
      // Only the request for the public key has one byte.
      if (Buffer.isBuffer(answer) && answer.length === 1) {
        throw new KeylessError();
      }
      return answer;
    };
  };
}
