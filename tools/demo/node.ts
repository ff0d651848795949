import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import type { DatabaseNode } from '../database-node.ts';
import type { Cleanup } from './cleanup.ts';
import { until } from '../lib/until.ts';

/** Who logs in to a node, and to which database at once. */
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

/** Connects as this account. Ids come as text; losing the connection later is no error. */
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

/** A connection that may do everything, and sees what transactions have written before they commit. */
export async function connectAsRoot(node: DatabaseNode, cleanup: Cleanup): Promise<Connection> {
  const root = await connect(node, rootOf(node));
  cleanup.add('the connection as root', async () => {
    await root.end().catch(() => undefined);
    return undefined;
  });
  await root.query('SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED');
  return root;
}

/** Does some work as root over a connection of its own: for the end, when another may have been lost. */
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

/** All threads, also those that the API keeps to itself. */
export async function threadsOf(connection: Connection): Promise<readonly Thread[]> {
  const [rows] = await connection.query<RowDataPacket[]>('SHOW PROCESSLIST');
  return rows.map((row) => ({
    id: BigInt(String(row['Id'])),
    user: String(row['User']),
    command: String(row['Command']),
    state: String(row['State']),
  }));
}

/** The event scheduler, which every node has that runs one. */
export async function eventScheduler(root: Connection): Promise<Thread | undefined> {
  return (await threadsOf(root)).find(({ user }) => user === 'event_scheduler');
}

/** Ends every session of these users. */
export async function endSessionsOf(users: readonly string[], root: Connection): Promise<void> {
  await until(`${users.join(', ')} have no sessions`, async () => {
    const left = (await threadsOf(root)).filter(({ user }) => users.includes(user));
    for (const { id } of left) await root.query(`KILL ${id}`).catch(() => undefined);
    return left.length === 0;
  });
}

/**
 * Has the event scheduler run until the end, if it is off and that can be done without side effects. Resolves with
 * whether this was done.
 */
export async function startEventScheduler(
  node: DatabaseNode,
  root: Connection,
  cleanup: Cleanup,
): Promise<boolean> {
  const state = await one(root, 'SELECT @@GLOBAL.event_scheduler');
  // Events that were stopped with it must not begin to happen.
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
    await until('it runs', async () => (await eventScheduler(root)) !== undefined);
    return true;
  } catch {
    return false;
  }
}

/** The one value that a query returns, as text. */
export async function one(connection: Connection, sql: string): Promise<string> {
  const [rows] = await connection.query<RowDataPacket[]>(sql);
  return String(Object.values(rows[0] ?? {})[0]);
}

function rootOf({ rootUser, rootPassword }: DatabaseNode): Account {
  return { user: rootUser, password: rootPassword };
}
