import { randomBytes } from 'node:crypto';
import {
  createConnection,
  type Connection,
  type RowDataPacket,
  type SslOptions,
} from 'mysql2/promise';
import type { Node } from '../../src/domain/node.ts';
import type { DatabaseNode } from '../../tools/database-node.ts';
import { nodeKey } from './ids.ts';

/** A database server of the tests, as plain data that Jest's set-up can pass to its workers. */
export interface Server {
  readonly flavour: 'mariadb' | 'mysql';
  readonly version: string;
  readonly host: string;
  readonly port: number;
  readonly root: Account;
  /** The account of the service, with PROCESS and the privilege to end other sessions. */
  readonly control: Account;
  /** The account of clients, with all privileges in the database of the same name. */
  readonly app: Account;
  /** True if more servers of this kind can be started here. */
  readonly canHavePair?: boolean;
}

/** An account of a database server. */
export interface Account {
  readonly user: string;
  readonly password: string;
}

/** The one or two servers that the tests run on. */
export const servers = JSON.parse(process.env['TEST_SERVERS'] ?? '[]') as readonly Server[];

/** Makes the accounts of the tests, with unique names, on a new or an existing server. */
export async function createAccounts(node: DatabaseNode): Promise<Server> {
  const account = (role: string): Account => ({
    user: `sc_${role}_${randomBytes(4).toString('hex')}`,
    password: randomBytes(12).toString('hex'),
  });
  const server: Server = {
    flavour: node.flavour,
    version: node.version,
    host: node.host,
    port: node.port,
    root: { user: node.rootUser, password: node.rootPassword },
    control: account('control'),
    app: account('app'),
  };
  const { control, app } = server;
  const killAny = node.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
  await asRoot(server, async (root) => {
    for (const { user, password } of [control, app]) {
      await root.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
    }
    await root.query(`GRANT PROCESS, ${killAny} ON *.* TO '${control.user}'@'%'`);
    await root.query(`CREATE DATABASE ${app.user}`);
    await root.query(`GRANT ALL ON ${app.user}.* TO '${app.user}'@'%'`);
  });
  await admitWithoutTls(server, control);
  return server;
}

/** Logs an account in once with TLS. MySQL then caches the password, and accepts logins without TLS until its restart. */
export async function admitWithoutTls(server: Server, account: Account): Promise<void> {
  if (server.flavour !== 'mysql') return;
  const connection = await connectAs(server, account, { ssl: { rejectUnauthorized: false } });
  await connection.end();
}

/** Ends the sessions that the tests left open, and removes their accounts. */
export async function removeAccounts(server: Server): Promise<void> {
  const users = [server.control.user, server.app.user];
  const left = (await processList(server)).filter((row) => users.includes(String(row['User'])));
  await asRoot(server, async (root) => {
    // The session may have ended since the list was read.
    for (const row of left) await root.query(`KILL ${String(row['Id'])}`).catch(() => undefined);
    for (const user of users) await root.query(`DROP USER '${user}'@'%'`);
    await root.query(`DROP DATABASE ${server.app.user}`);
  });
}

/** Connects as this account. Ids come as text. Rejects with mysql2's error. */
export async function connectAs(
  server: Server,
  account: Account,
  { ssl, charset }: { readonly ssl?: SslOptions; readonly charset?: string | undefined } = {},
): Promise<Connection> {
  return createConnection({
    host: server.host,
    port: server.port,
    user: account.user,
    password: account.password,
    maxPreparedStatements: 1,
    supportBigNumbers: true,
    bigNumberStrings: true,
    ...(ssl && { ssl }),
    ...(charset !== undefined && { charset }),
  });
}

/** Runs `work` with a connection as root. */
export async function asRoot<T>(
  server: Server,
  work: (root: Connection) => Promise<T>,
): Promise<T> {
  const root = await connectAs(server, server.root);
  try {
    return await work(root);
  } finally {
    await root.end();
  }
}

/** Resolves to the process list as root sees it. */
export async function processList(server: Server): Promise<readonly RowDataPacket[]> {
  return asRoot(server, async (root) => {
    const [rows] = await root.query<RowDataPacket[]>('SHOW PROCESSLIST');
    return rows;
  });
}

/** Resolves to the ids of all threads that are not listed as `Killed`. */
export async function liveIds(server: Server): Promise<ReadonlySet<bigint>> {
  const rows = await processList(server);
  const alive = rows.filter((row) => row['Command'] !== 'Killed');
  return new Set(alive.map((row) => BigInt(String(row['Id']))));
}

/** Resolves to the setting of nodes.yaml that pins the server. */
export async function pinOf(server: Server): Promise<Pick<Node, 'serverUuid' | 'serverIdentity'>> {
  return asRoot(server, async (root) => {
    const uuid = server.flavour === 'mysql' ? '@@server_uuid' : 'NULL';
    const [rows] = await root.query<RowDataPacket[]>(
      `SELECT ${uuid} AS uuid, CONCAT_WS(':', @@hostname, @@port, @@server_id) AS address`,
    );
    const { uuid: serverUuid, address } = rows[0] as { uuid: string | null; address: string };
    return serverUuid === null ? { serverIdentity: address.toLowerCase() } : { serverUuid };
  });
}

/** Returns the server as a node of the registry. */
export function nodeOn(server: Server, changes: Partial<Node> = {}): Node {
  return {
    ...nodeKey,
    host: server.host,
    port: server.port,
    user: server.control.user,
    password: server.control.password,
    tls: 'offered',
    internalUsers: [],
    connectTimeoutMs: 10_000,
    listTimeoutMs: 10_000,
    killTimeoutMs: 10_000,
    killWith: 'kill',
    ...changes,
  };
}
