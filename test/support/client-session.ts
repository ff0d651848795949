import type { Socket } from 'node:net';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { connectAs, type Account, type Server } from './server.ts';

/** A client with a session on a database server. */
export interface ClientSession {
  readonly id: bigint;
  readonly connection: Connection;
  /** True once the client has seen that its connection ended. */
  hasEnded(): boolean;
  close(): void;
}

/** Opens a session under the account of the app or another account. Rejects with mysql2's error. */
export async function openSession(
  server: Server,
  account: Account = server.app,
  charset?: string,
): Promise<ClientSession> {
  const connection = await connectAs(server, account, { charset });
  let ended = false;
  for (const event of ['end', 'error']) connection.on(event, () => (ended = true));
  const [rows] = await connection.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id');
  return {
    id: BigInt(String(rows[0]?.['id'])),
    connection,
    hasEnded: () => ended,
    close: () => {
      // The driver's destroy() waits until the server closes the connection, and a server does not do that during SLEEP.
      (connection as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    },
  };
}

/** Opens many sessions, at most 25 at a time. */
export async function openSessions(server: Server, count: number): Promise<ClientSession[]> {
  const sessions: ClientSession[] = [];
  while (sessions.length < count) {
    const some = Array.from({ length: Math.min(25, count - sessions.length) }, () =>
      openSession(server),
    );
    sessions.push(...(await Promise.all(some)));
  }
  return sessions;
}

/** Starts a statement without waiting for it, and ignores its error: the test may end the session. */
export function runUnwatched({ connection }: ClientSession, sql: string): void {
  connection.query(sql).catch(() => undefined);
}
