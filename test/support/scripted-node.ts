import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach } from '@jest/globals';
import { createServer as createMysqlServer, type Connection } from 'mysql2';
import type { Node } from '../../src/domain/node.ts';
import { fakeNode } from './ids.ts';

/** Answers the statements of a connection. A statement without an answer hangs. */
export type Script = (sql: string, connection: Connection) => void;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Long enough for an answer on a busy machine, and short enough for tests in which an answer never comes. */
const LIMITS = { connectTimeoutMs: 1000, listTimeoutMs: 1000, killTimeoutMs: 1000 };

/** Starts a TCP server that calls `onSocket` with each connection. Resolves to its node. */
export async function rawServer(onSocket: (socket: Socket) => void): Promise<Node> {
  const server = createServer(onSocket);
  await listen(server);
  return nodeAt(server);
}

/** Starts a server that speaks MySQL's protocol, greets with this version and follows the script. Resolves to its node. */
export async function scriptedNode(script: Script, serverVersion = MYSQL): Promise<Node> {
  const server = createMysqlServer((connection: Connection) => {
    connection.on('error', () => undefined);
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion,
      connectionId: 77,
      statusFlags: 2,
      // utf8mb4
      characterSet: 45,
      capabilityFlags: (0xffffff ^ 0x800 ^ 0x20) >>> 0,
      authCallback(_login: unknown, done: (error: null, failure: null) => void) {
        done(null, null);
        connection.sequenceId = 0;
      },
    });
    const answer = (sql: string): void => {
      connection.sequenceId = 1;
      script(sql, connection);
      connection.sequenceId = 0;
    };
    connection.on('query', answer);
    // The driver's server reports a SET statement with this event.
    connection.on('stmt_prepare', answer);
  }) as unknown as { _server: Server };
  await listen(server._server);
  return nodeAt(server._server);
}

/** Lets a server listen on a free port until the test ends. */
export async function listen(server: Server): Promise<void> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => undefined));
  });
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

function nodeAt(server: Server): Node {
  const { port } = server.address() as AddressInfo;
  return { ...fakeNode, ...LIMITS, host: '127.0.0.1', port, tls: 'disabled' };
}

/** The columns of SHOW PROCESSLIST. */
export const COLUMNS = ['Id', 'User', 'Host', 'db', 'Command', 'Time', 'State', 'Info'];

/** Returns text columns of a result set. */
export function columns(names: readonly string[]): object[] {
  return names.map((name) => ({
    catalog: 'def',
    schema: '',
    table: '',
    orgTable: '',
    name,
    orgName: name,
    characterSet: 33,
    columnLength: 384,
    columnType: 253,
    flags: 0,
    decimals: 0,
  }));
}

/** The version of a MySQL server. */
export const MYSQL = '8.4.0';
/** The version of a TiDB server. */
export const TIDB = '8.0.11-TiDB-v8.5.0';
/** The grants of the control account. */
export const GRANTS = 'GRANT PROCESS, CONNECTION_ADMIN ON *.* TO `session_control`@`%`';

interface Ordinary {
  readonly version?: string | undefined;
  readonly grants?: string | undefined;
  readonly rows?: readonly Record<string, string | null>[];
  /** The rows of `performance_schema.threads`. If undefined, access is denied without a call of `onEach`. */
  readonly threads?: readonly Record<string, string | null>[];
  /** Called with each statement. */
  readonly onEach?: (sql: string) => void;
}

/** Returns the script of a healthy server. `exceptions` handles all statements that the healthy server does not know. */
export function ordinary(
  exceptions: Script = () => undefined,
  {
    version = MYSQL,
    grants = GRANTS,
    rows = [client(1), client(2)],
    threads,
    onEach,
  }: Ordinary = {},
): Script {
  return (sql, connection) => {
    if (sql.startsWith('SELECT PROCESSLIST_ID') && threads === undefined) {
      connection.writeError({ code: 1142, message: 'SELECT command denied' });
      return;
    }
    onEach?.(sql);
    const answer = (row: Record<string, string>): void => {
      connection.writeTextResult([row], columns(Object.keys(row)));
    };
    if (sql.startsWith('SET NAMES')) connection.writeOk();
    else if (sql.startsWith('SELECT CONNECTION_ID()')) {
      const uuid = 'a';
      answer({ id: '77', version, address: 'a:3306:1', uuid, now: '1500', uptime: '500' });
    } else if (sql === "SHOW GLOBAL STATUS LIKE 'Uptime'") answer({ name: 'Uptime', value: '500' });
    else if (sql === 'SHOW GRANTS') answer({ grants });
    else if (sql === 'SHOW PROCESSLIST') {
      connection.writeTextResult([own(), ...rows], columns(COLUMNS));
    } else if (sql.startsWith('SELECT PROCESSLIST_ID')) {
      const wanted = / IN \((.*)\)$/.exec(sql)?.[1]?.split(', ');
      const shown = (threads ?? []).filter(
        ({ PROCESSLIST_ID: id }) => wanted?.includes(id ?? '') ?? true,
      );
      connection.writeTextResult(
        shown,
        columns(['PROCESSLIST_ID', 'NAME', 'CONNECTION_TYPE', 'PROCESSLIST_USER']),
      );
    } else exceptions(sql, connection);
  };
}

/** Returns the process list row of a client. */
export function client(id: number): Record<string, string | null> {
  const [Id, Host] = [id.toString(), `10.0.0.4:${5000 + id}`];
  return { Id, User: 'app', Host, db: 'shop', Command: 'Sleep', Time: '1', State: '', Info: null };
}

/** Returns the process list row of the control connection. */
export function own(): Record<string, string | null> {
  return { ...client(77), User: 'session_control' };
}

/** Sends an OK after the handler of the statement has returned. */
export function answerLate(connection: Parameters<Script>[1]): void {
  connection.sequenceId = 1;
  connection.writeOk();
  connection.sequenceId = 0;
}
