import assert from 'node:assert/strict';
import type { Connection } from 'mysql2/promise';
import type { DatabaseNode } from '../database-node.ts';
import type { Accounts } from './accounts.ts';
import type { Cleanup } from './cleanup.ts';
import { connect, one, threadsOf } from './node.ts';
import { until } from '../lib/until.ts';
import { complaint } from '../server-binaries.ts';

/** The role of a client: its name, its application, its work, and the expected outcome of its session. */
export interface Part {
  readonly name: string;
  readonly app: 'web' | 'jobs';
  readonly does: 'idle' | 'statement' | 'transaction';
  readonly expected: 'killed' | 'alive';
}

/** The twelve clients of the demonstration. */
export const PARTS: readonly Part[] = [
  { name: 'web-1', app: 'web', does: 'idle', expected: 'killed' },
  { name: 'web-2', app: 'web', does: 'idle', expected: 'killed' },
  { name: 'web-3', app: 'web', does: 'idle', expected: 'alive' },
  { name: 'web-4', app: 'web', does: 'idle', expected: 'alive' },
  { name: 'web-5', app: 'web', does: 'statement', expected: 'killed' },
  { name: 'web-6', app: 'web', does: 'transaction', expected: 'killed' },
  { name: 'web-7', app: 'web', does: 'transaction', expected: 'alive' },
  { name: 'jobs-1', app: 'jobs', does: 'idle', expected: 'killed' },
  { name: 'jobs-2', app: 'jobs', does: 'idle', expected: 'alive' },
  { name: 'jobs-3', app: 'jobs', does: 'statement', expected: 'killed' },
  { name: 'jobs-4', app: 'jobs', does: 'statement', expected: 'killed' },
  { name: 'jobs-5', app: 'jobs', does: 'statement', expected: 'alive' },
];

/** The number of rows that a transaction inserts without a commit. */
export const UNCOMMITTED_ROWS = 3;

/** A client of the node, which notices when its session ends. */
export class Client {
  readonly part: Part;
  readonly id: bigint;
  /** Called when the session has ended. */
  onEnd: () => void = () => undefined;
  readonly #connection: Connection;
  #hasEnded = false;
  #endError: string | undefined;

  private constructor(part: Part, connection: Connection, id: bigint) {
    this.part = part;
    this.#connection = connection;
    this.id = id;
    connection.on('end', () => {
      this.#hasEnded = true;
      this.onEnd();
    });
    connection.on('error', this.#keepError);
  }

  /** Connects and starts the work of the role. Rejects with mysql2's error. */
  static async start(part: Part, node: DatabaseNode, accounts: Accounts): Promise<Client> {
    const connection = await connect(node, accounts.apps[part.app]);
    const id = BigInt(await one(connection, 'SELECT CONNECTION_ID()'));
    const client = new Client(part, connection, id);
    await client.#begin(accounts.table);
    return client;
  }

  /** True if the session has ended. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The message of the error that the client got at the end of its session, or undefined. */
  get endError(): string | undefined {
    return this.#endError;
  }

  /** Returns the only value of a query as text. */
  async ask(sql: string): Promise<string> {
    return await one(this.#connection, sql);
  }

  async commit(): Promise<void> {
    await this.#connection.commit();
  }

  close(): void {
    this.#connection.destroy();
  }

  async #begin(table: string): Promise<void> {
    const { does, name, app } = this.part;
    if (does === 'statement') {
      const purpose = app === 'web' ? 'search' : 'report';
      this.#connection.query(`SELECT SLEEP(600) /* ${purpose} */`).catch(this.#keepError);
    }
    if (does === 'transaction') {
      await this.#connection.beginTransaction();
      const rows = Array.from({ length: UNCOMMITTED_ROWS }, (_, at) => [name, `item ${at + 1}`]);
      await this.#connection.query(`INSERT INTO ${table} (client, item) VALUES ?`, [rows]);
    }
  }

  readonly #keepError = (error: unknown): void => {
    this.#endError ??= complaint(error);
  };
}

/** Returns a query that counts the rows of a client. */
export function rowsOf({ part }: Client, table: string): string {
  return `SELECT COUNT(*) FROM ${table} WHERE client = '${part.name}'`;
}

/** The clients of the demonstration. The cleanup closes them. */
export class Clients {
  readonly #node: DatabaseNode;
  readonly #accounts: Accounts;
  readonly #started: Client[] = [];

  constructor(node: DatabaseNode, accounts: Accounts, cleanup: Cleanup) {
    this.#node = node;
    this.#accounts = accounts;
    cleanup.add('the clients', () => {
      const left = this.present;
      for (const client of left) client.close();
      return Promise.resolve(left.length === 0 ? undefined : `${left.length} clients are closed.`);
    });
  }

  /** The clients that have a session. */
  get present(): readonly Client[] {
    return this.#started.filter(({ hasEnded }) => !hasEnded);
  }

  /** Returns the client that was started last with this name. Throws if there is none. */
  called(name: string): Client {
    const client = this.#started.findLast(({ part }) => part.name === name);
    assert(client !== undefined, `There is no client ${name}`);
    return client;
  }

  /** Starts clients with these roles one after the other. Resolves when the node lists the statements of all of them. */
  async start(parts: readonly Part[], root: Connection): Promise<void> {
    for (const part of parts) {
      this.#started.push(await Client.start(part, this.#node, this.#accounts));
    }
    const busy = this.present.filter(({ part }) => part.does === 'statement');
    await until('the node lists the statements of all clients', async () => {
      const threads = await threadsOf(root);
      return busy.every(({ id }) =>
        threads.some((one) => one.id === id && one.command === 'Query'),
      );
    });
  }
}
