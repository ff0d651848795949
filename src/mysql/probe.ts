import { isNativeError } from 'node:util/types';
import type { Deadline } from '../domain/deadline.ts';
import { countCutHosts, type ClientFilter } from '../domain/client-filter.ts';
import type { Capabilities, ServerFacts } from '../domain/capabilities.ts';
import type { Node } from '../domain/node.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import { codeOf, DeadlineError } from './driver/driver-connection.ts';
import { openConnection, type Address } from './driver/open-connection.ts';
import { hasProcedure, missingGrants } from './grants.ts';
import { identify, type ServerIdentity } from './identity.ts';
import { NodeIdentity, pinOf, type Port } from './node-identity.ts';
import { readProcessList } from './process-list.ts';
import { nodeTrouble } from './node-trouble.ts';
import { ifAllowed, isServerError, serverErrorNumber } from './server-errors.ts';
import type { KnownOfNode } from './shared-connection.ts';
import { PerformanceSchema } from './performance-schema.ts';
import { readSources } from './sources.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import { areShown, readTransactionRows } from './lock-transactions.ts';

interface Seen {
  readonly trouble: Sentence | undefined;
  readonly cause: string | undefined;
  readonly server: ServerFacts | undefined;
  readonly identity: ServerIdentity | undefined;
  readonly grants: readonly string[];
}

/**
 * Opens a connection to each port of a node, reads a process list over it and checks the grants. `known` keeps the server that the main port
 * proves. Never throws.
 */
export async function probe(
  node: Node,
  deadline: Deadline,
  known: KnownOfNode = { identity: new NodeIdentity() },
): Promise<Capabilities> {
  const [main, admin] = await Promise.all([
    enter(node, node, deadline, known),
    node.admin && enter(node, node.admin, deadline, known),
  ]);
  // The main port comes first: the spare port must lead to the server that the main port proved.
  const mainTrouble = main.trouble ?? troubleWith(main, 'main', node, known);
  const adminTrouble = admin && (admin.trouble ?? troubleWith(admin, 'spare', node, known));
  const server = mainTrouble === undefined ? main.server : undefined;
  const spare = adminTrouble === undefined ? admin?.server : undefined;
  return {
    main: mainTrouble,
    admin: admin === undefined ? 'none' : adminTrouble,
    adminGrants: admin?.grants ?? [],
    mainCause: main.cause,
    adminCause: admin?.cause,
    isConnected: false,
    server: server ?? spare,
    pin: mainTrouble === undefined && main.identity ? pinOf(main.identity) : undefined,
  };
}

function troubleWith(
  { identity }: Seen,
  port: Port,
  node: Node,
  known: KnownOfNode,
): Sentence | undefined {
  if (identity === undefined) return undefined;
  try {
    known.identity.accept(identity, port, node);
    return undefined;
  } catch (error) {
    return nodeTrouble(error, node.connectTimeoutMs).detail ?? UNKNOWN;
  }
}

async function enter(
  node: Node,
  address: Address,
  deadline: Deadline,
  { lookup }: KnownOfNode,
): Promise<Seen> {
  let connection: DriverConnection | undefined;
  try {
    connection = await openConnection(node, address, deadline, lookup);
    const identity = await identify(connection, node, deadline);
    const server = await look(connection, identity, node, deadline);
    return { trouble: undefined, cause: undefined, server, identity, grants: [] };
  } catch (error) {
    const { detail } = nodeTrouble(error, node.connectTimeoutMs);
    // MySQL's admin_port requires this privilege at the login.
    const isDenied =
      connection === undefined && isServerError(error, 'ER_SPECIFIC_ACCESS_DENIED_ERROR');
    const grants = isDenied ? ['SERVICE_CONNECTION_ADMIN ON *.*'] : [];
    const found = { cause: causeOf(error), server: undefined, identity: undefined, grants };
    return { trouble: detail ?? UNKNOWN, ...found };
  } finally {
    connection?.close();
  }
}

async function look(
  connection: DriverConnection,
  identity: ServerIdentity,
  node: Node,
  deadline: Deadline,
): Promise<ServerFacts> {
  const { ownId, flavour, productVersion } = identity;
  const { rows } = await readProcessList(connection, ownId, node);
  await new PerformanceSchema(connection, identity, node).addThreads(rows);
  const target = { connection, identity, node, deadline };
  const transactions = await readTransactionRows(target);
  const missing = await missingGrants(connection, identity, node, deadline);
  return {
    flavour,
    encryption: encryptionOf(connection, node),
    account: await askAccount(connection, node, deadline),
    version: productVersion,
    missingGrants: missing,
    canSeeRollbacks: flavour === 'tidb' || areShown(transactions),
    hasSecondOpinion: await canReadThreads(connection, node, deadline),
    // Without PROCESS a list has only the control account's sessions.
    cutHosts: missing.length > 0 ? undefined : countCutHosts(rows, filterOf(node, ownId)),
    lacksProcedure:
      node.killWith === 'rds_kill' && !(await hasProcedure(connection, node, deadline)),
    sources: await readSources(target, transactions),
  };
}

/** Returns the message of the system or the driver, if it adds to the sentence for the caller. */
function causeOf(error: unknown): string | undefined {
  if (!isNativeError(error) || serverErrorNumber(error) !== undefined) return undefined;
  if (error instanceof ServiceError || error instanceof DeadlineError) return undefined;
  return error.cause === undefined ? error.message || codeOf(error) : causeOf(error.cause);
}

function encryptionOf(connection: DriverConnection, { tls }: Node): ServerFacts['encryption'] {
  if (!connection.isEncrypted()) return 'plain';
  return typeof tls === 'object' ? 'verified' : 'encrypted';
}

async function askAccount(
  connection: DriverConnection,
  node: Node,
  deadline: Deadline,
): Promise<string> {
  const { rows } = await connection.query('SELECT CURRENT_USER()', node.listTimeoutMs, deadline);
  return String(rows[0]?.[0]);
}

async function canReadThreads(
  connection: DriverConnection,
  node: Node,
  deadline: Deadline,
): Promise<boolean> {
  // Without the performance schema the table is empty.
  const sql =
    'SELECT 1 FROM performance_schema.threads WHERE PROCESSLIST_ID IS NOT NULL AND CONNECTION_TYPE IS NOT NULL LIMIT 1';
  const found = await ifAllowed(connection.query(sql, node.listTimeoutMs, deadline));
  return found !== undefined && found.rows.length > 0;
}

function filterOf({ user, internalUsers }: Node, ownId: bigint): ClientFilter {
  const ownIds = new Set([ownId]);
  return { ownIds, controlAccount: user, internalUsers, requireClientPort: true };
}

const UNKNOWN: Sentence = { 'en-us': 'The node cannot be reached.', 'zh-cn': '无法连接节点。' };
