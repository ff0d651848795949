import { connect as connectSocket, isIP } from 'node:net';
import { createConnection, type Connection, type FieldPacket, type SslOptions } from 'mysql2';
import { isLoopback, type Deadline, type Node } from '../domain/node.ts';
import { codeOf, DeadlineError, timeFor } from './server-errors.ts';

/** What a statement returned: the column names, and the rows in their order. */
export interface ResultSet {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  /** How many warnings the server has of the statement. */
  readonly warnings: number;
}

/** A connection of the driver, with a deadline for each statement; after an error of the line it stays broken. */
export interface Connected {
  /** Rejects with the driver's error, or with a DeadlineError after `timeoutMs`; the connection is broken then. */
  query(sql: string, timeoutMs: number): Promise<ResultSet>;
  isBroken(): boolean;
  close(): void;
}

/**
 * Connects to a node and logs in. Rejects with the driver's error.
 * Where the node's TLS is `offered`, only a node on loopback is spoken to in the clear, and only if it offers none.
 */
export async function openConnection(node: Node, deadline: Deadline): Promise<Connected> {
  if (node.tls === 'disabled') return connect(node, undefined, deadline);
  if (node.tls !== 'offered') return connect(node, verifying(node, node.tls.ca), deadline);
  try {
    return await connect(node, { rejectUnauthorized: false }, deadline);
  } catch (error) {
    if (codeOf(error) !== 'HANDSHAKE_NO_SSL_SUPPORT' || !isLoopback(node.host)) throw error;
    return connect(node, undefined, deadline);
  }
}

// The driver compares a certificate only with a host name: for an address the pinned authority alone must do.
function verifying(node: Node, ca: string): SslOptions {
  return { ca, rejectUnauthorized: true, verifyIdentity: isIP(certificateName(node)) === 0 };
}

function certificateName(node: Node): string {
  return (typeof node.tls === 'object' ? node.tls.serverName : undefined) ?? node.host;
}

async function connect(
  node: Node,
  ssl: SslOptions | undefined,
  deadline: Deadline,
): Promise<Connected> {
  const connection = createConnection({
    host: certificateName(node),
    port: node.port,
    user: node.user,
    password: node.password,
    stream: () => connectSocket(node.port, node.host).setNoDelay(true).setKeepAlive(true, 10_000),
    connectTimeout: timeFor(node.connectTimeoutMs, deadline),
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    jsonStrings: true,
    rowsAsArray: true,
    // 0 would mean 16,000: half a megabyte a connection.
    maxPreparedStatements: 1,
    multipleStatements: false,
    flags: ['-LOCAL_FILES'],
    disableEval: true,
    trace: false,
    charset: 'utf8mb4',
    connectAttributes: { program_name: 'session-control' },
    ...(ssl && { ssl }),
  });
  // Answers in the wrong order mean that nothing on this line can be trusted.
  connection.on('warn', (warning: Error) => streamOf(connection).destroy(warning));
  try {
    await new Promise<void>((resolve, reject) => {
      // Stays for good: a second 'error' without a listener would end the process.
      connection.on('error', reject);
      connection.once('connect', () => {
        resolve();
      });
    });
  } catch (error) {
    streamOf(connection).destroy();
    throw error;
  }
  return connected(connection);
}

function connected(connection: Connection): Connected {
  return {
    query(sql, timeoutMs) {
      return new Promise((resolve, reject) => {
        const deadline = setTimeout(() => {
          // destroy() of the driver would leave the statement without an answer for ever; this settles it.
          streamOf(connection).destroy(new DeadlineError(timeoutMs));
        }, timeoutMs);
        connection.query(sql, (error, rows: unknown, fields: FieldPacket[] | undefined) => {
          clearTimeout(deadline);
          if (error) reject(error);
          else resolve(resultOf(rows, fields ?? []));
        });
      });
    },
    isBroken: () => connection.state !== 'authenticated',
    close() {
      if (connection.state === 'authenticated') connection.end();
      const stream = streamOf(connection);
      stream.end();
      setTimeout(() => stream.destroy(), 1000).unref();
    },
  };
}

function resultOf(result: unknown, fields: readonly FieldPacket[]): ResultSet {
  const columns = fields.map(({ name }) => name);
  if (Array.isArray(result)) return { columns, rows: result as unknown[][], warnings: 0 };
  const { warningStatus = 0 } = (result ?? {}) as { warningStatus?: number };
  return { columns, rows: [], warnings: warningStatus };
}

// Public in the driver, but missing from its types.
function streamOf(connection: Connection): import('node:net').Socket {
  return (connection as unknown as { stream: import('node:net').Socket }).stream;
}
