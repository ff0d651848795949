import { createConnection, type RowDataPacket } from 'mysql2/promise';

/** The address of a server, with an account that has all privileges. */
export interface ServerLogin {
  readonly host: string;
  readonly port: number;
  readonly rootUser: string;
  readonly rootPassword: string;
}

/** The facts that a server reports about itself. */
export interface ServerIdentity {
  readonly flavour: 'mariadb' | 'mysql';
  readonly version: string;
  /** The path of the Unix socket, which is different for each server that we start. */
  readonly socket: string;
  /** The time since the start, in whole seconds. */
  readonly uptime: number;
}

/** Logs in and reads the identity. Rejects with mysql2's error, at most 5 s after a step began. */
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
