import { setTimeout as sleep } from 'node:timers/promises';
import type { RowDataPacket } from 'mysql2/promise';
import { openClient, type Client } from './client.ts';
import type { History, Thread } from './history.ts';
import { APP, CONTROL, ROOT, type TortureNode } from './node.ts';

const LOOK_EVERY_MS = 400;

/** Reads the process list of a node as root every 400 ms, and starts internal threads in each incarnation. */
export class Observer {
  /** The last process list. */
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

  /** True for the id of the observer's own session, which no request may have. */
  isOwn(id: bigint): boolean {
    return this.#root?.id === id;
  }

  /** Starts the observation. */
  begin(): void {
    this.#watching = this.#watch();
  }

  /** Ends the observation. Sessions stay open. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#watching;
  }

  /** Reads the process list once. Resolves to false if that fails. */
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

  /** Closes the observer's sessions. */
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

  /** Starts an event worker, which the server lists under the user `app`, and a reader of the binary log. */
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
      // The server went down: the next round tries again.
    }
  }
}

/** True if a thread serves no client, so that the service must not end it. */
export function isInternal({ user, host, command, state }: Thread): boolean {
  const isWorker = state === 'User sleep' && !host.includes(':');
  return user === 'event_scheduler' || isWorker || command.startsWith('Binlog Dump');
}

/** True if a thread belongs to the control account. */
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

/** Reads the binary log over the raw socket, because the driver's own reader fails on some events of these servers. */
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
