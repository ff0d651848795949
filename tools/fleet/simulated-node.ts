import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer, type Connection } from 'mysql2';
import { CONTROL, nodeId, NODES_HOST } from './names.ts';

/** The number of user sessions that each node lists. Their ids begin with `FIRST_SESSION`, and killed sessions stay in the list. */
const SESSIONS = 20;
/** The id of the first user session. */
export const FIRST_SESSION = 1001;
const OLDEST_CONNECTION = 5000;

const COLUMNS = ['Id', 'User', 'Host', 'db', 'Command', 'Time', 'State', 'Info'];
const GRANTS = 'GRANT PROCESS, CONNECTION_ADMIN ON *.* TO `session_control`@`%`';

type Row = Readonly<Record<string, string | null>>;

/** The events on a simulated node. */
export interface NodeCounts {
  opened: number;
  closed: number;
  /** The number of open connections on which the service has finished its first statements. */
  warm: number;
  lists: number;
  kills: number;
  pings: number;
}

/** A server with the part of MySQL's protocol that the service uses. */
export class SimulatedNode {
  /** True while the node neither greets nor answers. */
  isBlackHoled = false;
  readonly counts: NodeCounts = { opened: 0, closed: 0, warm: 0, lists: 0, kills: 0, pings: 0 };
  readonly #number: number;
  readonly #server: Server;
  #lastId = OLDEST_CONNECTION;

  constructor(number: number) {
    this.#number = number;
    const server = createServer((connection: Connection) => {
      this.#serve(connection);
    });
    this.#server = (server as unknown as { _server: Server })._server;
  }

  /** Listens on a free port, and resolves to the port. */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen(0, NODES_HOST, () => {
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  #serve(connection: Connection): void {
    const { stream } = connection as unknown as { stream: Socket };
    // The driver's own cache has room for 16,000 statements, which is half a megabyte per connection.
    Object.assign(connection, { _statements: new Map() });
    this.#lastId += 1;
    const id = this.#lastId;
    let isWarm = false;
    this.counts.opened += 1;
    stream.setNoDelay(true).once('close', () => {
      this.counts.closed += 1;
      if (isWarm) this.counts.warm -= 1;
    });
    connection.on('error', () => stream.destroy());
    if (this.isBlackHoled) return;
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: '8.4.0',
      connectionId: id,
      statusFlags: 2,
      characterSet: 8,
      capabilityFlags: (0xffffff ^ 0x800 ^ 0x20) >>> 0,
      authCallback(_login: unknown, done: (error: null, failure: null) => void) {
        done(null, null);
        connection.sequenceId = 0;
      },
    });
    const answer = (sql: string): void => {
      if (this.isBlackHoled) return;
      // With cork(), all rows go into one network packet.
      stream.cork();
      connection.sequenceId = 1;
      this.#answer(sql, id, connection);
      connection.sequenceId = 0;
      stream.uncork();
      if (sql !== 'SHOW GRANTS' || isWarm) return;
      isWarm = true;
      this.counts.warm += 1;
    };
    connection.on('query', answer);
    // The driver's server reports a SET statement with this event.
    connection.on('stmt_prepare', answer);
  }

  #answer(sql: string, id: number, connection: Connection): void {
    const answer = (row: Row): void => {
      writeRows(connection, Object.keys(row), [row]);
    };
    if (sql.startsWith('KILL ')) {
      this.counts.kills += 1;
      connection.writeOk();
    } else if (sql === 'SHOW PROCESSLIST') {
      this.counts.lists += 1;
      writeRows(connection, COLUMNS, [own(id), ...CLIENTS]);
    } else if (sql.startsWith('SET NAMES')) {
      connection.writeOk();
    } else if (sql === 'DO 0') {
      this.counts.pings += 1;
      connection.writeOk();
    } else if (sql.includes('CONNECTION_ID()')) {
      const address = `${nodeId(this.#number)}:3306:1`;
      const identity = { id: id.toString(), version: '8.4.0', address, uuid: address };
      answer({ ...identity, now: '1500', uptime: '500' });
    } else if (sql === 'SHOW GRANTS') {
      answer({ grants: GRANTS });
    } else {
      connection.writeError({ code: 1064, message: 'not simulated' });
    }
  }
}

const CLIENTS: readonly Row[] = Array.from({ length: SESSIONS }, (_, index) => ({
  ...rowOf(FIRST_SESSION + index, 'app', 'Sleep'),
  Info: null,
}));

function own(id: number): Row {
  return { ...rowOf(id, CONTROL.user, 'Query'), Info: 'SHOW PROCESSLIST' };
}

function rowOf(id: number, user: string, command: string): Row {
  const Host = `10.0.0.4:${40_000 + (id % 20_000)}`;
  return {
    Id: id.toString(),
    User: user,
    Host,
    db: 'shop',
    Command: command,
    Time: '1',
    State: '',
  };
}

function writeRows(connection: Connection, names: readonly string[], rows: readonly Row[]): void {
  connection.writeTextResult(rows as Row[], names.map(textColumn));
}

function textColumn(name: string): object {
  const empty = { catalog: 'def', schema: '', table: '', orgTable: '', flags: 0, decimals: 0 };
  return { ...empty, name, orgName: name, characterSet: 33, columnLength: 384, columnType: 253 };
}
