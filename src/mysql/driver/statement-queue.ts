import { TLSSocket } from 'node:tls';
import type { Connection, FieldPacket } from 'mysql2';
import { leftUntil, limitReached, type Deadline } from '../../domain/deadline.ts';
import type { ServiceError } from '../../errors.ts';
import { connectionLost, DeadlineError, NotSentError } from './driver-connection.ts';
import type { DriverConnection, Greeting, ResultSet, Unless } from './driver-connection.ts';
import { internalsOf, pipeline, readList, streamOf } from './mysql2-commands.ts';
import type { List } from './list-rows.ts';

interface Waiting {
  readonly send: () => Promise<void>;
  readonly rejectUnsent: (why: NotSentError) => void;
}

/** Sends one statement at a time: what waits here has surely not been sent. */
export class StatementQueue implements DriverConnection {
  readonly greeting: Greeting;
  readonly #connection: Connection;
  readonly #waiting = new Set<Waiting>();
  #sentAt: number | undefined;
  /** Rejects the statement under way. The driver drops a statement without a word if its answer is odd. */
  #fail: ((error: ServiceError) => void) | undefined;
  readonly #listeners: (() => void)[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
    const { _handshakePacket: packet } = internalsOf(connection);
    this.greeting = { threadId: connection.threadId, version: packet?.serverVersion ?? '' };
    this.holdProcess(false);
    streamOf(connection).once('close', () => {
      this.#fail?.(connectionLost());
      this.#rejectWaiting();
    });
  }

  query(
    sql: string,
    limitMs: number,
    deadline: Deadline,
    {
      sendBy = deadline,
      areWarningsRead = false,
      unless = always,
    }: { sendBy?: Deadline; areWarningsRead?: boolean; unless?: Unless } = {},
  ): Promise<ResultSet> {
    return this.#enqueue(Math.min(sendBy, deadline), () => {
      const trouble = unless();
      if (trouble !== undefined) return Promise.reject(new NotSentError(trouble));
      return this.#send(sql, limitMs, deadline, areWarningsRead);
    });
  }

  list(sql: string, limitMs: number, deadline: Deadline): Promise<List> {
    return this.#enqueue(deadline, () => {
      this.#sentAt = performance.now();
      const limit = this.#breakAt(Math.min(this.#sentAt + limitMs, deadline));
      return readList(this.#connection, sql).finally(() => {
        clearTimeout(limit);
        this.#sentAt = undefined;
      });
    });
  }

  async queryAhead(
    statements: readonly string[],
    limitMs: number,
    {
      sendBy,
      deadline,
      unless = always,
    }: { readonly sendBy: Deadline; readonly deadline: Deadline; readonly unless?: Unless },
    onAnswer: (error: unknown) => void,
  ): Promise<{ readonly sent: number; readonly trouble?: unknown }> {
    const latestTurn = Math.min(sendBy, deadline);
    let sent = 0;
    let timer: NodeJS.Timeout | undefined;
    const wait = (): void => {
      clearTimeout(timer);
      this.#sentAt = performance.now();
      timer = this.#breakAt(Math.min(this.#sentAt + limitMs, deadline));
    };
    try {
      await this.#enqueue(latestTurn, () => {
        wait();
        return pipeline(this.#connection, {
          next: () => {
            if (sent === statements.length || performance.now() >= latestTurn) return undefined;
            if (unless() !== undefined) return undefined;
            sent += 1;
            return statements[sent - 1];
          },
          answered: (error) => {
            wait();
            onAnswer(error);
          },
        }).finally(() => {
          clearTimeout(timer);
          this.#sentAt = undefined;
        });
      });
      return { sent };
    } catch (trouble) {
      return { sent, trouble };
    }
  }

  isBroken(): boolean {
    return this.#connection.state !== 'authenticated';
  }

  get remoteAddress(): string | undefined {
    return streamOf(this.#connection).remoteAddress;
  }

  isEncrypted(): boolean {
    return streamOf(this.#connection) instanceof TLSSocket;
  }

  busyMs(): number {
    return this.#sentAt === undefined ? 0 : performance.now() - this.#sentAt;
  }

  holdProcess(isWanted: boolean): void {
    if (isWanted) streamOf(this.#connection).ref();
    else streamOf(this.#connection).unref();
  }

  onceAnswered(listener: () => void): void {
    this.#listeners.push(listener);
  }

  onceBroken(listener: () => void): void {
    streamOf(this.#connection).once('close', listener);
  }

  break(): void {
    streamOf(this.#connection).destroy(new Error('It is of no more use'));
  }

  close(): void {
    if (!this.isBroken()) this.#connection.end();
    const stream = streamOf(this.#connection);
    stream.end();
    setTimeout(() => stream.destroy(), 1000).unref();
  }

  #enqueue<T>(latestTurn: Deadline, send: () => Promise<T>): Promise<T> {
    const isLate = latestTurn <= performance.now();
    if (isLate || this.isBroken()) {
      return Promise.reject(new NotSentError(isLate ? limitReached() : connectionLost()));
    }
    if (this.#sentAt === undefined && this.#waiting.size === 0) {
      const sent = send();
      const next = (): void => {
        this.#next();
      };
      sent.then(next, next);
      return sent;
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting = {
        send: () => {
          leave();
          return send().then(resolve, reject);
        },
        rejectUnsent: (why) => {
          leave();
          reject(why);
        },
      };
      const late = (): void => {
        waiting.rejectUnsent(new NotSentError(limitReached()));
      };
      const timer = setTimeout(late, leftUntil(latestTurn));
      this.#waiting.add(waiting);
      this.#next();
    });
  }

  #next(): void {
    if (this.#sentAt !== undefined) return;
    for (const listener of this.#listeners.splice(0)) listener();
    if (this.isBroken()) {
      this.#rejectWaiting();
      return;
    }
    const [first] = this.#waiting;
    void first?.send().then(() => {
      this.#next();
    });
  }

  #rejectWaiting(): void {
    for (const { rejectUnsent } of this.#waiting) rejectUnsent(new NotSentError(connectionLost()));
  }

  async #send(
    sql: string,
    limitMs: number,
    deadline: Deadline,
    areWarningsRead: boolean,
  ): Promise<ResultSet> {
    const sentAt = performance.now();
    this.#sentAt = sentAt;
    const latest = Math.min(sentAt + limitMs, deadline);
    try {
      const { warningCount, ...result } = await this.#answered(sql, latest);
      if (!areWarningsRead || warningCount === 0) return result;
      // In the same turn: any other statement in between would take them away.
      const { rows } = await this.#answered('SHOW WARNINGS', latest);
      return { ...result, warnings: rows.map((row) => String(row[2])) };
    } finally {
      this.#sentAt = undefined;
    }
  }

  #answered(sql: string, latest: Deadline): Promise<ResultSet & { readonly warningCount: number }> {
    return new Promise((resolve, reject) => {
      const limit = this.#breakAt(latest);
      this.#fail = (error) => {
        clearTimeout(limit);
        reject(error);
      };
      this.#connection.query(sql, (error, rows: unknown, fields: FieldPacket[] | undefined) => {
        clearTimeout(limit);
        if (error) reject(error);
        else resolve(resultOf(rows, fields ?? []));
      });
    });
  }

  #breakAt(latest: Deadline): NodeJS.Timeout {
    const limitMs = Math.max(1, Math.round(latest - (this.#sentAt ?? latest)));
    return setTimeout(
      () => {
        // destroy() of the driver would leave the statement without an answer for ever; this settles it.
        streamOf(this.#connection).destroy(new DeadlineError(limitMs));
      },
      Math.max(1, Math.ceil(latest - performance.now())),
    );
  }
}

/** Every statement may be sent. */
function always(): undefined {
  return undefined;
}

function resultOf(result: unknown, fields: readonly FieldPacket[]) {
  const columns = fields.map(({ name }) => name);
  if (Array.isArray(result)) {
    return { columns, rows: result as unknown[][], warnings: [], warningCount: 0 };
  }
  const { warningStatus = 0 } = (result ?? {}) as { warningStatus?: number };
  return { columns, rows: [], warnings: [], warningCount: warningStatus };
}
