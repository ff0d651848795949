import { setTimeout as sleep } from 'node:timers/promises';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { until } from '../lib/until.ts';
import { Child } from '../fleet/child.ts';
import { startServer, type OwnServer } from '../own-server.ts';
import type { ServerKind } from '../server-binaries.ts';
import type { victimsAnswers } from './victims-process.ts';

/** The control account. */
export const CONTROL = { user: 'session_control', password: 'bench' };
const APPLICATION = 'app';
/** The server needs this time to finish the begin or the end of sessions. */
const SETTLE_MS = 30;
const CROWD_DEADLINE_MS = 60_000;

/** A throw-away server with sessions that stay, and victims for the kills. */
export class BenchNode {
  readonly server: OwnServer;
  readonly root: Connection;
  readonly #staying = new Child<typeof victimsAnswers>('../bench/victims-process.ts');
  readonly #victims = new Child<typeof victimsAnswers>('../bench/victims-process.ts');

  /** Starts a server with this limit of connections. Rejects with a sentence if that fails. */
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

  /** Opens sessions that stay. Resolves to their number, and to the trouble if it is below `count`. */
  async populate(count: number): Promise<{ readonly opened: number; readonly trouble?: string }> {
    const { ids, ...more } = await this.#staying.ask('open', this.server.port, APPLICATION, count);
    await sleep(SETTLE_MS);
    return { opened: ids.length, ...more };
  }

  /** Opens victims and resolves to their ids. Each sends the statement, if there is one. Rejects if one cannot be opened. */
  async victims(count: number, statement?: string): Promise<readonly number[]> {
    const { port } = this.server;
    const { ids, trouble } = await this.#victims.ask('open', port, APPLICATION, count, statement);
    if (trouble !== undefined) throw new Error(`Sessions cannot be opened: ${trouble}`);
    await sleep(SETTLE_MS);
    return ids;
  }

  /** Resolves when all victims have been disconnected. Rejects if one stays connected. */
  async settled(): Promise<void> {
    const areGone = async (): Promise<boolean> => (await this.#victims.ask('left')) === 0;
    await until('the killed sessions have ended', areGone, CROWD_DEADLINE_MS);
    await sleep(SETTLE_MS);
  }

  /** Resolves to the number of process lists that the server has returned, by SHOW PROCESSLIST or by SELECT. */
  async listCount(): Promise<number> {
    const [rows] = await this.root.query<RowDataPacket[]>(
      "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_show_processlist', 'Com_select')",
    );
    return rows.reduce((sum, { Value }) => sum + Number(Value), 0);
  }

  /** Resolves to the statements that the control account sends while `work` runs, in their order. */
  async statementsDuring(work: () => Promise<unknown>): Promise<readonly string[]> {
    await this.root.query("SET GLOBAL log_output = 'TABLE'");
    await this.root.query('TRUNCATE mysql.general_log');
    await this.root.query('SET GLOBAL general_log = ON');
    await work();
    await this.root.query('SET GLOBAL general_log = OFF');
    const [rows] = await this.root.query<RowDataPacket[]>(
      `SELECT CONVERT(argument USING utf8mb4) AS sent FROM mysql.general_log
        WHERE command_type = 'Query' AND user_host LIKE '${CONTROL.user}%'`,
    );
    return rows.map(({ sent }) => String(sent));
  }

  /** Ends the clients and the server. */
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
    // MySQL caches the password at this login, and then also accepts logins without TLS.
    const { host, port } = this.server;
    await (await mysql.createConnection({ host, port, ...CONTROL })).end();
  }
}
