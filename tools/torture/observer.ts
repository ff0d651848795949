import { setTimeout as sleep } from 'node:timers/promises';
import type { RowDataPacket } from 'mysql2/promise';
import { openClient, type Client } from './client.ts';
import type { History, Thread } from './history.ts';
import { APP, CONTROL, ROOT, type TortureNode } from './node.ts';

const LOOK_EVERY_MS = 400;

/** Reads a node's process list as root, directly; and sees to it that each incarnation has internal threads to be spared. */
export class Observer {
  /** The list that was read last. */
  threads: readonly Thread[] = [];
  readonly #node: TortureNode;
  readonly #history: History;
  #root: Client | undefined;
  #replica: Client | undefined;
  #incarnation = 0;
  #isEnding = false;
  #watching: Promise<void> | undefined;

  constructor(node: TortureNode, history: History) {
    this.#node = node;
    this.#history = history;
  }

  /** The observer's own session, whose id must not be asked for. */
  isOwn(id: bigint): boolean {
    return this.#root?.id === id;
  }

  begin(): void {
    this.#watching = this.#watch();
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#watching;
  }

  /** Looks once; false when the node cannot be seen. */
  async look(): Promise<boolean> {
    try {
      const { incarnation } = this.#node;
      const root = await this.#connect();
      const askedAt = performance.now();
      const [rows] = await root.connection.query<RowDataPacket[]>('SHOW PROCESSLIST');
      this.threads = rows.map(threadOf);
      const { threads } = this;
      this.#history.on(this.#node.kind, { what: 'process list', incarnation, askedAt, threads });
      return true;
    } catch {
      return false;
    }
  }

  closeAll(): void {
    this.#root?.close();
    this.#replica?.close();
  }

  async #watch(): Promise<void> {
    while (!this.#isEnding) {
      if (this.#node.isUp) {
        if (this.#incarnation !== this.#node.incarnation) await this.#addInternalThreads();
        await this.look();
      }
      await sleep(LOOK_EVERY_MS);
    }
  }

  async #connect(): Promise<Client> {
    if (this.#root === undefined || this.#root.isOver) {
      this.#root = await openClient(this.#node, this.#history, ROOT, 'root');
    }
    return this.#root;
  }

  /** An event worker, listed under the app as if it were its session, and one who reads the binary log as a replica does. */
  async #addInternalThreads(): Promise<void> {
    const { incarnation } = this.#node;
    try {
      const { connection, id } = await this.#connect();
      await connection.query(
        `CREATE DEFINER='${APP.user}'@'%' EVENT app.worker_${incarnation}_${id} ON SCHEDULE AT CURRENT_TIMESTAMP DO DO SLEEP(86400)`,
      );
      this.#replica = await openClient(this.#node, this.#history, ROOT, 'replica');
      await readBinaryLog(this.#replica, this.#node.kind);
      this.#incarnation = incarnation;
    } catch {
      // The server went down: it is done in the next incarnation.
    }
  }
}

/** Whether a row is one of the threads that serve no client, and that nobody but the server may end. */
export function isInternal({ user, host, command, state }: Thread): boolean {
  const isWorker = state === 'User sleep' && !host.includes(':');
  return user === 'event_scheduler' || isWorker || command.startsWith('Binlog Dump');
}

export function isControl({ user }: Thread): boolean {
  return user === CONTROL.user;
}

function threadOf(row: RowDataPacket): Thread {
  const text = (name: string): string => String(row[name] ?? '');
  return {
    id: BigInt(text('Id')),
    user: text('User'),
    host: text('Host'),
    command: text('Command'),
    state: text('State'),
  };
}

/** The driver's own reader of the binary log stumbles over events of these servers, so nothing of it is used but the line. */
async function readBinaryLog(
  { connection, stream, id }: Client,
  kind: TortureNode['kind'],
): Promise<void> {
  await connection.query("SET @master_binlog_checksum = 'NONE', @source_binlog_checksum = 'NONE'");
  const show = kind === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
  const [rows] = await connection.query<RowDataPacket[]>(show);
  const file = Buffer.from(String(rows[0]?.['File']));
  // COM_BINLOG_DUMP: position, flags, the replica's own id, file.
  const packet = Buffer.alloc(15);
  packet.writeUIntLE(11 + file.length, 0, 3);
  packet.writeUInt8(0x12, 4);
  packet.writeUInt32LE(Number(rows[0]?.['Position']), 5);
  packet.writeUInt32LE(Number(id) + 1000, 11);
  stream.removeAllListeners('data').resume();
  stream.write(Buffer.concat([packet, file]));
}
