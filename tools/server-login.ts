import { createConnection, type RowDataPacket } from 'mysql2/promise';

/** Where a server listens, and an account of it. */
export interface ServerLogin {
  readonly host: string;
  readonly port: number;
  readonly rootUser: string;
  readonly rootPassword: string;
}

/** What a server says of itself. */
export interface ServerIdentity {
  readonly flavour: 'mariadb' | 'mysql';
  readonly version: string;
  /** The path of its Unix socket, by which a server we started is told from another on its port. */
  readonly socket: string;
  /** Whole seconds since it started. */
  readonly uptime: number;
}

/** Logs in and out again; rejects with mysql2's error when that does not work within 5 seconds. */
export async function identify(login: ServerLogin): Promise<ServerIdentity> {
  const connection = await createConnection({
    host: login.host,
    port: login.port,
    user: login.rootUser,
    password: login.rootPassword,
    connectTimeout: 5_000,
    maxPreparedStatements: 1,
  });
  try {
    const [rows] = await connection.query<RowDataPacket[]>({
      sql: 'SELECT VERSION() AS version, @@socket AS socket',
      timeout: 5_000,
    });
    const version = String(rows[0]?.['version']);
    const flavour = version.includes('MariaDB') ? 'mariadb' : 'mysql';
    const [status] = await connection.query<RowDataPacket[]>({
      sql: "SHOW GLOBAL STATUS LIKE 'Uptime'",
      timeout: 5_000,
    });
    const uptime = Number(status[0]?.['Value']);
    return { flavour, version, uptime, socket: String(rows[0]?.['socket']) };
  } finally {
    connection.destroy();
  }
}
