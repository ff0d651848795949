import type { Socket } from 'node:net';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { connectAs, type Account, type Server } from './server.ts';

/** One client connected to a real server, who notices when the session ends. */
export interface ClientSession {
  readonly id: bigint;
  readonly connection: Connection;
  /** True from the moment on in which the client has seen its connection end. */
  hasEnded(): boolean;
  close(): void;
}

/** Opens a session under the app's account, or another one. */
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
      // The driver's destroy() waits for the server to hang up, which one in SLEEP does not.
      (connection as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    },
  };
}

/** Opens many sessions, some at a time. */
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

/** Starts a statement whose end nobody waits for; it is expected to fail when its session is ended. */
export function runUnwatched({ connection }: ClientSession, sql: string): void {
  connection.query(sql).catch(() => undefined);
}
