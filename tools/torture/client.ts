import type { Socket } from 'node:net';
import type { Connection } from 'mysql2/promise';
import type { History, Role } from './history.ts';
import type { Account, TortureNode } from './node.ts';

/** A client with a session on a node. */
export interface Client {
  readonly id: bigint;
  readonly host: string;
  readonly user: string;
  readonly connection: Connection;
  /** The socket of the connection. */
  readonly stream: Socket;
  /** True once the session has ended or was closed. */
  readonly isOver: boolean;
  /** Resolves when the session has ended or was closed. */
  readonly over: Promise<void>;
  close(): void;
}

/** Connects a client directly, not through the proxy, and records the begin and end of its session. Rejects with mysql2's error. */
export async function openClient(
  node: TortureNode,
  history: History,
  account: Account,
  role: Role,
): Promise<Client> {
  const { kind, incarnation } = node;
  const connectedAt = performance.now();
  const connection = await node.connect(account);
  const { stream } = (connection as unknown as { connection: { stream: Socket } }).connection;
  const session = history.nextSession();
  const facts = {
    session,
    incarnation,
    id: BigInt(connection.threadId),
    host: `127.0.0.1:${String(stream.localPort)}`,
    user: account.user,
    role,
    connectedAt,
  };
  let isOver = false;
  let settle = (): void => undefined;
  const over = new Promise<void>((resolve) => (settle = resolve));
  const end = (what: 'session is closed' | 'session has ended'): void => {
    if (isOver) return;
    isOver = true;
    history.on(kind, { what, session });
    settle();
  };
  for (const event of ['end', 'error']) {
    connection.on(event, () => {
      end('session has ended');
    });
  }
  // Before its first statement, the server may list a session as one that still logs in, and then it is no user session.
  await connection.query('DO 1').catch(() => undefined);
  history.on(kind, { what: 'session begins', ...facts });
  return {
    ...facts,
    connection,
    stream,
    over,
    get isOver() {
      return isOver;
    },
    close: () => {
      end('session is closed');
      // The driver's destroy() waits until the server closes the connection, and a server does not do that during SLEEP.
      stream.destroy();
    },
  };
}
