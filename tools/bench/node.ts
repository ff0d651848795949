import { setTimeout as sleep } from 'node:timers/promises';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { until } from '../lib/until.ts';
import { Child } from '../fleet/child.ts';
import { startServer, type OwnServer } from '../own-server.ts';
import type { ServerKind } from '../server-binaries.ts';
import type { victimsAnswers } from './victims-process.ts';

export const CONTROL = { user: 'session_control', password: 'bench' };
const APPLICATION = 'app';
/** What a session has to do to begin and to end goes on for a moment on the server. */
const SETTLE_MS = 30;
const CROWD_DEADLINE_MS = 60_000;

/** A server of ours, with sessions that stay and sessions that are to be ended. */
export class BenchNode {
  readonly server: OwnServer;
  readonly root: Connection;
  readonly #staying = new Child<typeof victimsAnswers>('../bench/victims-process.ts');
  readonly #victims = new Child<typeof victimsAnswers>('../bench/victims-process.ts');

  /** Starts it with this many connections at most. */
  static async start(kind: ServerKind, maxConnections: number): Promise<BenchNode> {
    const server = await startServer(kind, {
      arguments: [`--max-connections=${maxConnections}`, '--back-log=1024'],
    });
    try {
      const { host, port, rootUser: user } = server;
      const root = await mysql.createConnection({ host, port, user });
      root.on('error', () => undefined);
      const node = new BenchNode(server, root);
      await node.#makeAccounts();
      return node;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  private constructor(server: OwnServer, root: Connection) {
    this.server = server;
    this.root = root;
  }

  /** Opens sessions that are not to be ended; resolves to how many there are, and why not more. */
  async populate(count: number): Promise<{ readonly opened: number; readonly trouble?: string }> {
    const { ids, ...more } = await this.#staying.ask('open', this.server.port, APPLICATION, count);
    await sleep(SETTLE_MS);
    return { opened: ids.length, ...more };
  }

  /** Opens sessions to be ended; resolves to their ids when the server is done with that. */
  async victims(count: number): Promise<readonly number[]> {
    const { ids, trouble } = await this.#victims.ask('open', this.server.port, APPLICATION, count);
    if (trouble !== undefined) throw new Error(`Sessions cannot be opened: ${trouble}`);
    await sleep(SETTLE_MS);
    return ids;
  }

  /** Resolves when all victims have seen their end, and the server is done with that. Rejects when some live on. */
  async settled(): Promise<void> {
    const areGone = async (): Promise<boolean> => (await this.#victims.ask('left')) === 0;
    await until('sessions that were reported killed have ended', areGone, CROWD_DEADLINE_MS);
    await sleep(SETTLE_MS);
  }

  /** How many process lists the server has given, by either statement that shows one. */
  async listsGiven(): Promise<number> {
    const [rows] = await this.root.query<RowDataPacket[]>(
      "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_show_processlist', 'Com_select')",
    );
    return rows.reduce((sum, { Value }) => sum + Number(Value), 0);
  }

  async stop(): Promise<void> {
    this.root.destroy();
    await Promise.all([this.#staying.stop(), this.#victims.stop()]);
    await this.server.stop();
  }

  async #makeAccounts(): Promise<void> {
    const { user, password } = CONTROL;
    const admin = this.server.flavour === 'mysql' ? 'CONNECTION_ADMIN' : 'CONNECTION ADMIN';
    await this.root.query(`CREATE USER ${user}@'%' IDENTIFIED BY '${password}'`);
    await this.root.query(`GRANT PROCESS, ${admin} ON *.* TO ${user}@'%'`);
    await this.root.query(`CREATE USER ${APPLICATION}@'%'`);
    if (this.server.flavour !== 'mysql') return;
    await this.root.query(`GRANT SELECT ON performance_schema.processlist TO ${user}@'%'`);
    await this.root.query(`GRANT SELECT ON performance_schema.threads TO ${user}@'%'`);
    // From then on it is let in without TLS as well.
    const { host, port } = this.server;
    await (await mysql.createConnection({ host, port, ...CONTROL })).end();
  }
}
