import assert from 'node:assert/strict';
import type { Connection } from 'mysql2/promise';
import type { DatabaseNode } from '../database-node.ts';
import type { Accounts } from './accounts.ts';
import type { Cleanup } from './cleanup.ts';
import { connect, one, threadsOf } from './node.ts';
import { until } from '../lib/until.ts';
import { complaint } from '../server-binaries.ts';

/** What a client of the demonstration is and does, and what is to become of its session. */
export interface Part {
  readonly name: string;
  readonly app: 'web' | 'jobs';
  readonly does: 'idle' | 'statement' | 'transaction';
  readonly fate: 'ends' | 'lives';
}

/** The dozen. */
export const PARTS: readonly Part[] = [
  { name: 'web-1', app: 'web', does: 'idle', fate: 'ends' },
  { name: 'web-2', app: 'web', does: 'idle', fate: 'ends' },
  { name: 'web-3', app: 'web', does: 'idle', fate: 'lives' },
  { name: 'web-4', app: 'web', does: 'idle', fate: 'lives' },
  { name: 'web-5', app: 'web', does: 'statement', fate: 'ends' },
  { name: 'web-6', app: 'web', does: 'transaction', fate: 'ends' },
  { name: 'web-7', app: 'web', does: 'transaction', fate: 'lives' },
  { name: 'jobs-1', app: 'jobs', does: 'idle', fate: 'ends' },
  { name: 'jobs-2', app: 'jobs', does: 'idle', fate: 'lives' },
  { name: 'jobs-3', app: 'jobs', does: 'statement', fate: 'ends' },
  { name: 'jobs-4', app: 'jobs', does: 'statement', fate: 'ends' },
  { name: 'jobs-5', app: 'jobs', does: 'statement', fate: 'lives' },
];

/** How many rows a transaction inserts and does not commit. */
export const UNCOMMITTED_ROWS = 3;

/** A client of the node, which notices when its session ends. */
export class Client {
  readonly part: Part;
  readonly id: bigint;
  /** Called when its session has ended. */
  onEnd: () => void = () => undefined;
  readonly #connection: Connection;
  #hasEnded = false;
  #heard: string | undefined;

  private constructor(part: Part, connection: Connection, id: bigint) {
    this.part = part;
    this.#connection = connection;
    this.id = id;
    connection.on('end', () => {
      this.#hasEnded = true;
      this.onEnd();
    });
    connection.on('error', this.#hear);
  }

  /** Connects, and begins with what the part says. */
  static async start(part: Part, node: DatabaseNode, accounts: Accounts): Promise<Client> {
    const connection = await connect(node, accounts.apps[part.app]);
    const id = BigInt(await one(connection, 'SELECT CONNECTION_ID()'));
    const client = new Client(part, connection, id);
    await client.#begin(accounts.table);
    return client;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** What the end of its session looked like to it. */
  get heard(): string | undefined {
    return this.#heard;
  }

  /** The one value that a query returns, as text. */
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
      this.#connection.query(`SELECT SLEEP(600) /* ${purpose} */`).catch(this.#hear);
    }
    if (does === 'transaction') {
      await this.#connection.beginTransaction();
      const rows = Array.from({ length: UNCOMMITTED_ROWS }, (_, at) => [name, `item ${at + 1}`]);
      await this.#connection.query(`INSERT INTO ${table} (client, item) VALUES ?`, [rows]);
    }
  }

  readonly #hear = (error: unknown): void => {
    this.#heard ??= complaint(error);
  };
}

/** A query that counts the rows that a client wrote. */
export function rowsOf({ part }: Client, table: string): string {
  return `SELECT COUNT(*) FROM ${table} WHERE client = '${part.name}'`;
}

/** The clients of the demonstration. All of them go at the end. */
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

  /** Those that have a session. */
  get present(): readonly Client[] {
    return this.#started.filter(({ hasEnded }) => !hasEnded);
  }

  /** The client that has this name, the latest if it came again. */
  called(name: string): Client {
    const client = this.#started.findLast(({ part }) => part.name === name);
    assert(client !== undefined, `${name} has not come`);
    return client;
  }

  /** Starts clients with these parts one after the other; resolves when the node shows that they are at it. */
  async start(parts: readonly Part[], root: Connection): Promise<void> {
    for (const part of parts) {
      this.#started.push(await Client.start(part, this.#node, this.#accounts));
    }
    const busy = this.present.filter(({ part }) => part.does === 'statement');
    await until('the node shows all clients at work', async () => {
      const threads = await threadsOf(root);
      return busy.every(({ id }) =>
        threads.some((one) => one.id === id && one.command === 'Query'),
      );
    });
  }
}
