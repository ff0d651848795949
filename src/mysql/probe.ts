import { isNativeError } from 'node:util/types';
import type { Capabilities, ServerFacts } from '../domain/capabilities.ts';
import type { Deadline } from '../domain/deadline.ts';
import type { Node } from '../domain/node.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import { openConnection, type Address } from './connection.ts';
import { missingGrants } from './grants.ts';
import { identify } from './identity.ts';
import { codeOf, DeadlineError, nodeTrouble, serverErrorNumber } from './server-errors.ts';
import type { Connected } from './connected.ts';
import { readTransactions } from './transactions.ts';

interface Seen {
  readonly trouble: Sentence | undefined;
  readonly cause: string | undefined;
  readonly server: ServerFacts | undefined;
  readonly grants: readonly string[];
}

/** Tries each way into a node with a connection of its own, and looks at what the account may do. Of connections that are kept it knows nothing. Never throws. */
export async function probe(node: Node, deadline: Deadline): Promise<Capabilities> {
  const [main, admin] = await Promise.all([
    enter(node, node, deadline),
    node.admin && enter(node, node.admin, deadline),
  ]);
  return {
    main: main.trouble,
    admin: admin === undefined ? 'none' : admin.trouble,
    adminGrants: admin?.grants ?? [],
    mainCause: main.cause,
    adminCause: admin?.cause,
    isConnected: false,
    server: main.server ?? admin?.server,
  };
}

async function enter(node: Node, address: Address, deadline: Deadline): Promise<Seen> {
  let connected: Connected | undefined;
  try {
    connected = await openConnection(node, address, deadline);
    const server = await look(connected, node, deadline);
    return { trouble: undefined, cause: undefined, server, grants: [] };
  } catch (error) {
    const { detail } = nodeTrouble(error, node.connectTimeoutMs);
    // MySQL's admin_port asks for a privilege of its own before anything is said.
    const isDenied = connected === undefined && serverErrorNumber(error) === ACCESS_DENIED;
    const grants = isDenied ? ['SERVICE_CONNECTION_ADMIN ON *.*'] : [];
    return { trouble: detail ?? UNKNOWN, cause: causeOf(error), server: undefined, grants };
  } finally {
    connected?.close();
  }
}

async function look(connected: Connected, node: Node, deadline: Deadline): Promise<ServerFacts> {
  const identity = await identify(connected, node, deadline);
  const { flavour, version } = identity;
  const transactions = await readTransactions(connected, flavour, node, deadline);
  return {
    flavour,
    line: lineOf(connected, node),
    account: await askAccount(connected, node, deadline),
    version: `${Math.floor(version / 100)}.${version % 100}`,
    missingGrants: await missingGrants(connected, identity, node, deadline),
    canSeeRollbacks: transactions !== undefined,
    hasSecondOpinion: await canReadThreads(connected, node, deadline),
    lacksProcedure:
      node.killWith === 'rds_kill' && !(await hasProcedure(connected, node, deadline)),
  };
}

/** What the system or the driver says, where there is more to it than the sentence. */
function causeOf(error: unknown): string | undefined {
  if (!isNativeError(error) || serverErrorNumber(error) !== undefined) return undefined;
  if (error instanceof ServiceError || error instanceof DeadlineError) return undefined;
  return error.cause === undefined ? error.message || codeOf(error) : causeOf(error.cause);
}

function lineOf(connected: Connected, { tls }: Node): ServerFacts['line'] {
  if (!connected.isEncrypted()) return 'plain';
  return typeof tls === 'object' ? 'verified' : 'encrypted';
}

async function askAccount(connected: Connected, node: Node, deadline: Deadline): Promise<string> {
  const { rows } = await connected.query('SELECT CURRENT_USER()', node.listTimeoutMs, deadline);
  return String(rows[0]?.[0]);
}

async function canReadThreads(
  connected: Connected,
  node: Node,
  deadline: Deadline,
): Promise<boolean> {
  // Where the performance schema is off, the tables are empty.
  const sql =
    'SELECT p.ID FROM performance_schema.processlist p JOIN performance_schema.threads t ON t.PROCESSLIST_ID = p.ID LIMIT 1';
  try {
    return (await connected.query(sql, node.listTimeoutMs, deadline)).rows.length > 0;
  } catch (error) {
    if (serverErrorNumber(error) === undefined) throw error;
    return false;
  }
}

/** Shown to who may execute it. */
async function hasProcedure(
  connected: Connected,
  node: Node,
  deadline: Deadline,
): Promise<boolean> {
  const sql =
    "SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'mysql' AND ROUTINE_NAME = 'rds_kill'";
  return (await connected.query(sql, node.listTimeoutMs, deadline)).rows.length > 0;
}

/** ER_SPECIFIC_ACCESS_DENIED_ERROR */
const ACCESS_DENIED = 1227;

const UNKNOWN: Sentence = { 'en-us': 'The node cannot be reached.', 'zh-cn': '无法连接节点。' };
