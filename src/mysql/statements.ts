import type { Deadline } from '../domain/deadline.ts';
import type { Node, ProcessList } from '../domain/node.ts';
import type { Session } from '../domain/session.ts';
import type { RunningStatement, StatementLook } from '../domain/statement.ts';
import type { DriverConnection } from './driver/driver-connection.ts';
import type { ServerIdentity } from './identity.ts';
import { isTableUnreadable } from './server-errors.ts';

type Running = Map<bigint, RunningStatement | 'idle'>;

/** Reads which statements sessions run, over one connection: with the server's numbers where it shows them, else from the process list. */
export class StatementReader {
  readonly #connection: DriverConnection;
  readonly #identity: ServerIdentity;
  readonly #node: Node;
  readonly #list: () => Promise<ProcessList>;
  #hasIds: boolean;

  /** `list` reads the process list over the same connection. */
  constructor(
    connection: DriverConnection,
    identity: ServerIdentity,
    node: Node,
    list: () => Promise<ProcessList>,
  ) {
    [this.#connection, this.#identity, this.#node] = [connection, identity, node];
    this.#list = list;
    this.#hasIds = identity.flavour !== 'tidb';
  }

  /** Returns the statements of these sessions. Throws `node_unavailable`, or the driver's error. */
  async read(sessions: readonly Session[], deadline: Deadline): Promise<StatementLook> {
    const askedAt = performance.now();
    const ids = sessions.map(({ id }) => id);
    const running = (await this.#readWithIds(ids, deadline)) ?? ofList(await this.#list(), ids);
    return { askedAt, answeredAt: performance.now(), running };
  }

  async #readWithIds(ids: readonly bigint[], deadline: Deadline): Promise<Running | undefined> {
    if (!this.#hasIds) return undefined;
    try {
      return this.#identity.flavour === 'mariadb'
        ? await this.#readQueryIds(ids, deadline)
        : await this.#readEvents(ids, deadline);
    } catch (error) {
      if (!isTableUnreadable(error)) throw error;
      this.#hasIds = false;
      return undefined;
    }
  }

  async #readQueryIds(ids: readonly bigint[], deadline: Deadline): Promise<Running> {
    const rows = await this.#rows(`${SELECT_QUERY_IDS} (${ids.join(', ')})`, deadline);
    const isKilledById = this.#node.killWith === 'kill';
    return new Map(
      rows.map(([session, id, command, ranMs, info]) => {
        const isEnding = command?.toLowerCase() === 'killed';
        const ran = Number(ranMs ?? 0);
        const numbers = { id: idOf(id), isClientsId: false, isKilledById };
        const statement = { ...numbers, isEnding, info: info ?? '', ranMs: ran };
        return [BigInt(session ?? 0), isIdle(command) ? 'idle' : statement];
      }),
    );
  }

  /** Returns undefined unless the server has an event for each session, and one for this SELECT itself. */
  async #readEvents(ids: readonly bigint[], deadline: Deadline): Promise<Running | undefined> {
    const own = this.#identity.ownId;
    const rows = await this.#rows(`${SELECT_EVENTS} (${[own, ...ids].join(', ')})`, deadline);
    const running: Running = new Map(
      rows.map(([session, id, isRunning, info]) => {
        const numbers = { id: idOf(id), isClientsId: true, isKilledById: false };
        const statement = { ...numbers, isEnding: false, info: info ?? '', ranMs: 0 };
        return [BigInt(session ?? 0), isRunning === '1' ? statement : 'idle'];
      }),
    );
    const isOwnRunning = typeof running.get(own) === 'object';
    return isOwnRunning && ids.every((id) => running.has(id)) ? running : undefined;
  }

  async #rows(sql: string, deadline: Deadline): Promise<readonly (readonly (string | null)[])[]> {
    const { rows } = await this.#connection.query(sql, this.#node.listTimeoutMs, deadline);
    return rows.map((row) => row.map(textOf));
  }
}

const SELECT_QUERY_IDS =
  'SELECT ID, QUERY_ID, COMMAND, TIME_MS, LEFT(INFO, 1024) FROM information_schema.PROCESSLIST WHERE ID IN';
// Level 0 is the client's own statement, also while it runs a routine.
const SELECT_EVENTS =
  'SELECT t.PROCESSLIST_ID, s.EVENT_ID, s.END_EVENT_ID IS NULL, LEFT(s.SQL_TEXT, 1024) ' +
  'FROM performance_schema.threads t JOIN performance_schema.events_statements_current s ' +
  'ON s.THREAD_ID = t.THREAD_ID AND s.NESTING_EVENT_LEVEL = 0 WHERE t.PROCESSLIST_ID IN';

function ofList({ rows }: ProcessList, ids: readonly bigint[]): Running {
  const wanted = new Set(ids.map((id) => id.toString()));
  const running: Running = new Map();
  for (const { id, command, time, info } of rows) {
    if (id === null || !wanted.has(id)) continue;
    // The list shows the difference of two clock readings in whole seconds, which can be up to 1 s too long.
    const ranMs = Math.max(0, Number(time ?? 0) - 1) * 1000;
    const numbers = { id: undefined, isClientsId: false, isKilledById: false };
    const statement = { ...numbers, isEnding: false, info: info ?? '', ranMs };
    running.set(BigInt(id), isIdle(command) ? 'idle' : statement);
  }
  return running;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}

/** A client that logs in runs no statement of its own yet. */
function isIdle(command: string | null | undefined): boolean {
  return /^(sleep|connect)$/i.test(command ?? '');
}

function idOf(digits: string | null | undefined): bigint | undefined {
  return /^\d+$/.test(digits ?? '') ? BigInt(digits ?? 0) : undefined;
}
