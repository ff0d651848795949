import { createConnection, type Connection } from 'mysql2';
import { CONTROL } from './node.ts';

/** The driver with its defaults on one warm connection, as in a simple script. */
export class Driver {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Connects to a server on this machine. Rejects with mysql2's error. */
  static async connect(port: number): Promise<Driver> {
    const connection = createConnection({ host: '127.0.0.1', port, ...CONTROL });
    await new Promise<void>((resolve, reject) => {
      connection.on('error', reject);
      connection.once('connect', () => {
        resolve();
      });
    });
    return new Driver(connection);
  }

  /** Runs a statement. Rejects with mysql2's error. */
  query(sql: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connection.query(sql, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Reads the process list, then ends a session. Rejects with mysql2's error. */
  async listAndKill(id: number): Promise<void> {
    await this.query('SHOW PROCESSLIST');
    await this.query(`KILL ${id}`);
  }

  /** Runs statements one after the other. A statement that the server refuses takes its time, too. */
  async queryAll(statements: readonly string[]): Promise<void> {
    for (const sql of statements) await this.query(sql).catch(() => undefined);
  }

  /** Closes the connection. */
  close(): void {
    this.#connection.destroy();
  }
}
