import type { Connection } from 'mysql2';
import type { Node } from '../../src/domain/node.ts';
import { streamOf } from '../../src/mysql/driver/mysql2-commands.ts';
import {
  client,
  COLUMNS,
  columns,
  ordinary,
  own,
  scriptedNode,
  TIDB,
  type Script,
} from './scripted-node.ts';

/** The thread id in the greeting of a scripted node: the low 32 bits of each connection id. */
const LOW_BITS = 77n;

/** A scripted TiDB with sessions. Ids are beyond 2^53, as with global kill, and a KILL of an unknown id is OK. */
export class ScriptedTidb {
  readonly #clients = new Set<bigint>();
  readonly #controls = new Map<Connection, bigint>();
  #nextId = (1n << 54n) + LOW_BITS;

  async start(): Promise<Node> {
    return scriptedNode((sql, connection) => {
      this.#answer(sql, connection);
    }, TIDB);
  }

  /** Opens a client session and returns its id. */
  connect(): bigint {
    const id = this.#newId();
    this.#clients.add(id);
    return id;
  }

  /** Ends the session of a client or a control connection. */
  disconnect(id: bigint): void {
    this.#clients.delete(id);
    for (const [connection, controlId] of this.#controls) {
      if (controlId !== id) continue;
      this.#controls.delete(connection);
      streamOf(connection).destroy();
    }
  }

  has(id: bigint): boolean {
    return this.#clients.has(id);
  }

  #answer(sql: string, connection: Connection): void {
    const kill = /^KILL TIDB CONNECTION (\d+)$/.exec(sql);
    const ok: Script = () => {
      connection.writeOk();
    };
    if (kill) {
      ok(sql, connection);
      this.disconnect(BigInt(kill[1] ?? 0));
    } else if (sql === 'SHOW PROCESSLIST') {
      connection.writeTextResult(this.#list(), columns(COLUMNS));
    } else if (sql.startsWith('SELECT CONNECTION_ID()')) {
      const id = this.#idOf(connection).toString();
      const row = { id, version: TIDB, address: 'a:4000:0', uuid: null, now: '1500' };
      connection.writeTextResult([row], columns(Object.keys(row)));
    } else {
      ordinary(ok, { version: TIDB })(sql, connection);
    }
  }

  #list(): Record<string, string | null>[] {
    const row = (id: bigint): Record<string, string | null> => ({
      ...client(Number(id >> 32n) & 0xfff),
      Id: id.toString(),
    });
    const controls = [...this.#controls.values()].map((id) => ({ ...own(), Id: id.toString() }));
    return [...controls, ...[...this.#clients].map(row)];
  }

  #idOf(connection: Connection): bigint {
    const known = this.#controls.get(connection);
    if (known !== undefined) return known;
    const id = this.#newId();
    this.#controls.set(connection, id);
    streamOf(connection).once('close', () => this.#controls.delete(connection));
    return id;
  }

  #newId(): bigint {
    this.#nextId += 1n << 32n;
    return this.#nextId;
  }
}
