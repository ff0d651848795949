import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach } from '@jest/globals';
import { createServer as createMysqlServer, type Connection } from 'mysql2';
import type { Node } from '../../src/domain/node.ts';
import { fakeNode } from './ids.ts';

/** Answers of a server, by statement; a statement without one hangs. */
export type Script = (sql: string, connection: Connection) => void;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A busy machine answers within them; what hangs on purpose takes as long. */
const LIMITS = { connectTimeoutMs: 1000, listTimeoutMs: 1000, killTimeoutMs: 1000 };

/** A TCP server that does as told with each connection. */
export async function rawServer(onSocket: (socket: Socket) => void): Promise<Node> {
  const server = createServer(onSocket);
  await listen(server);
  return nodeAt(server);
}

/** A server that speaks the protocol, greets with this version and follows the script. */
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
    // The driver's server reports a SET so.
    connection.on('stmt_prepare', answer);
  }) as unknown as { _server: Server };
  await listen(server._server);
  return nodeAt(server._server);
}

/** Has it listen on a free port until the test is over. */
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

/** What SHOW PROCESSLIST has. */
export const COLUMNS = ['Id', 'User', 'Host', 'db', 'Command', 'Time', 'State', 'Info'];

/** Text columns of a result set. */
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

/** Versions, and what the control account may do. */
export const MYSQL = '8.4.0';
export const TIDB = '8.0.11-TiDB-v8.5.0';
export const GRANTS = 'GRANT PROCESS, CONNECTION_ADMIN ON *.* TO `session_control`@`%`';

interface Ordinary {
  readonly version?: string | undefined;
  readonly grants?: string | undefined;
  readonly rows?: readonly Record<string, string | null>[];
  /** What `performance_schema.threads` has; denied if it is undefined, which `onEach` does not hear of. */
  readonly threads?: readonly Record<string, string | null>[];
  /** Hears each statement. */
  readonly onEach?: (sql: string) => void;
}

/** A server that is in order until its script says otherwise. */
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
    } else if (sql.startsWith('SHOW GLOBAL STATUS')) answer({ name: 'Uptime', value: '500' });
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

/** The row of a client. */
export function client(id: number): Record<string, string | null> {
  const [Id, Host] = [id.toString(), `10.0.0.4:${5000 + id}`];
  return { Id, User: 'app', Host, db: 'shop', Command: 'Sleep', Time: '1', State: '', Info: null };
}

/** The row of the control connection. */
export function own(): Record<string, string | null> {
  return { ...client(77), User: 'session_control' };
}

/** An answer outside the handler of its statement. */
export function answerLate(connection: Parameters<Script>[1]): void {
  connection.sequenceId = 1;
  connection.writeOk();
  connection.sequenceId = 0;
}
