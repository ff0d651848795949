import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import type { DatabaseNode } from '../database-node.ts';
import type { Cleanup } from './cleanup.ts';
import { until } from '../lib/until.ts';

/** An account of a node, with the default database of its connections. */
export interface Account {
  readonly user: string;
  readonly password: string;
  readonly database?: string;
}

/** A thread as the node itself lists it. */
export interface Thread {
  readonly id: bigint;
  readonly user: string;
  readonly command: string;
  readonly state: string;
}

/** Connects as this account. Ids come as text. A later loss of the connection is ignored. Rejects with mysql2's error. */
export async function connect({ host, port }: DatabaseNode, account: Account): Promise<Connection> {
  const connection = await createConnection({
    ...{ host, port, ...account },
    connectTimeout: 10_000,
    maxPreparedStatements: 1,
    supportBigNumbers: true,
    bigNumberStrings: true,
  });
  connection.on('error', () => undefined);
  return connection;
}

/** Connects as root, with an isolation level that shows uncommitted rows. The cleanup closes the connection. */
export async function connectAsRoot(node: DatabaseNode, cleanup: Cleanup): Promise<Connection> {
  const root = await connect(node, rootOf(node));
  cleanup.add('the connection as root', async () => {
    await root.end().catch(() => undefined);
    return undefined;
  });
  await root.query('SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED');
  return root;
}

/** Runs the work as root on a new connection: at the end, an older connection may be lost. */
export async function asRoot(
  node: DatabaseNode,
  work: (root: Connection) => Promise<void>,
): Promise<void> {
  const root = await connect(node, rootOf(node));
  try {
    await work(root);
  } finally {
    root.destroy();
  }
}

/** Returns all threads of the node, also those that the API does not list. */
export async function threadsOf(connection: Connection): Promise<readonly Thread[]> {
  const [rows] = await connection.query<RowDataPacket[]>('SHOW PROCESSLIST');
  return rows.map((row) => ({
    id: BigInt(String(row['Id'])),
    user: String(row['User']),
    command: String(row['Command']),
    state: String(row['State']),
  }));
}

/** Returns the thread of the event scheduler, or undefined if it does not run. */
export async function eventScheduler(root: Connection): Promise<Thread | undefined> {
  return (await threadsOf(root)).find(({ user }) => user === 'event_scheduler');
}

/** Ends all sessions of these users, and resolves when they are gone. */
export async function endSessionsOf(users: readonly string[], root: Connection): Promise<void> {
  await until(`${users.join(', ')} have no sessions`, async () => {
    const left = (await threadsOf(root)).filter(({ user }) => users.includes(user));
    for (const { id } of left) await root.query(`KILL ${id}`).catch(() => undefined);
    return left.length === 0;
  });
}

/**
 * Starts the event scheduler until the cleanup, if it is off and the node has no events. Resolves to true if it was started.
 */
export async function startEventScheduler(
  node: DatabaseNode,
  root: Connection,
  cleanup: Cleanup,
): Promise<boolean> {
  const state = await one(root, 'SELECT @@GLOBAL.event_scheduler');
  // The node may have events that its owner stopped by turning the scheduler off.
  const events = await one(root, 'SELECT COUNT(*) FROM information_schema.EVENTS');
  if (state !== 'OFF' || events !== '0') return false;
  let isOn = false;
  cleanup.add('the event scheduler, which was off', async () => {
    if (!isOn) return undefined;
    await asRoot(node, async (other) => {
      await other.query('SET GLOBAL event_scheduler = OFF');
    });
    return 'The event scheduler is off again.';
  });
  try {
    await root.query('SET GLOBAL event_scheduler = ON');
    isOn = true;
    await until('the event scheduler runs', async () => (await eventScheduler(root)) !== undefined);
    return true;
  } catch {
    return false;
  }
}

/** Returns the only value of a query as text. */
export async function one(connection: Connection, sql: string): Promise<string> {
  const [rows] = await connection.query<RowDataPacket[]>(sql);
  return String(Object.values(rows[0] ?? {})[0]);
}

function rootOf({ rootUser, rootPassword }: DatabaseNode): Account {
  return { user: rootUser, password: rootPassword };
}
