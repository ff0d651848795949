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

/** A real server under test, as plain data, so that it gets from Jest's set-up to its workers. */
export interface Server {
  readonly flavour: 'mariadb' | 'mysql';
  readonly version: string;
  readonly host: string;
  readonly port: number;
  readonly root: Account;
  /** What the service uses: PROCESS and the right to end other people's sessions, no more. */
  readonly control: Account;
  /** What clients use; has all rights in the database of the same name. */
  readonly app: Account;
  /** Whether more servers of this kind can be started here: false for a borrowed one without binaries beside it. */
  readonly canHavePair?: boolean;
}

export interface Account {
  readonly user: string;
  readonly password: string;
}

/** The servers that the tests run on, one or two. */
export const servers = JSON.parse(process.env['TEST_SERVERS'] ?? '[]') as readonly Server[];

/** Makes the accounts that the tests use, with names of their own, on a fresh or a borrowed server. */
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

/** Logs an account in once with TLS: from then on MySQL lets it in without TLS, too, until it is started again. */
export async function admitWithoutTls(server: Server, account: Account): Promise<void> {
  if (server.flavour !== 'mysql') return;
  const connection = await connectAs(server, account, { ssl: { rejectUnauthorized: false } });
  await connection.end();
}

/** Leaves a server as it was: ends what the tests left running, and removes their accounts. */
export async function removeAccounts(server: Server): Promise<void> {
  const users = [server.control.user, server.app.user];
  const left = (await processList(server)).filter((row) => users.includes(String(row['User'])));
  await asRoot(server, async (root) => {
    // It may have ended meanwhile.
    for (const row of left) await root.query(`KILL ${String(row['Id'])}`).catch(() => undefined);
    for (const user of users) await root.query(`DROP USER '${user}'@'%'`);
    await root.query(`DROP DATABASE ${server.app.user}`);
  });
}

/** Connects as this account; rejects when the server does. Ids come as text. */
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

/** Runs `work` with a connection that may do everything. */
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

/** What the server itself says of its threads: column names as MySQL has them. */
export async function processList(server: Server): Promise<readonly RowDataPacket[]> {
  return asRoot(server, async (root) => {
    const [rows] = await root.query<RowDataPacket[]>('SHOW PROCESSLIST');
    return rows;
  });
}

/** The ids of all threads that the server has and that are not ending. */
export async function liveIds(server: Server): Promise<ReadonlySet<bigint>> {
  const rows = await processList(server);
  const alive = rows.filter((row) => row['Command'] !== 'Killed');
  return new Set(alive.map((row) => BigInt(String(row['Id']))));
}

/** The line of nodes.yaml that pins the server. */
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

/** The server as a node of the registry. */
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
