import { TLSSocket } from 'node:tls';
import type { Connection, FieldPacket } from 'mysql2';
import type { Deadline } from '../../domain/deadline.ts';
import type { ServiceError } from '../../errors.ts';
import { connectionLost, DeadlineError, NotSentError } from './driver-connection.ts';
import type { AheadLimits, DriverConnection, Greeting } from './driver-connection.ts';
import type { QueryOptions, ResultSet } from './driver-connection.ts';
import type { List } from './list-rows.ts';
import { internalsOf, pipeline, readList, streamOf } from './mysql2-commands.ts';
import { StatementQueue } from './statement-queue.ts';

/** A connection of mysql2. It sends one statement at a time. */
export class Mysql2Connection implements DriverConnection {
  readonly greeting: Greeting;
  readonly #connection: Connection;
  readonly #queue = new StatementQueue(() => this.isBroken());
  #sentAt: number | undefined;
  /** Rejects the present statement. After an odd answer, mysql2 never calls the callback of the statement. */
  #fail: ((error: ServiceError) => void) | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    const { _handshakePacket: packet } = internalsOf(connection);
    this.greeting = { threadId: connection.threadId, version: packet?.serverVersion ?? '' };
    this.holdProcess(false);
    streamOf(connection).once('close', () => {
      this.#fail?.(connectionLost());
      this.#queue.rejectWaiting();
    });
  }

  query(
    sql: string,
    limitMs: number,
    deadline: Deadline,
    { sendBy = deadline, areWarningsRead = false, unless }: QueryOptions = {},
  ): Promise<ResultSet> {
    return this.#queue.enqueue(Math.min(sendBy, deadline), () => {
      const trouble = unless?.();
      if (trouble !== undefined) return Promise.reject(new NotSentError(trouble));
      return this.#limited(limitMs, deadline, () => this.#send(sql, areWarningsRead));
    });
  }

  list(sql: string, limitMs: number, deadline: Deadline): Promise<List> {
    return this.#queue.enqueue(deadline, () =>
      this.#limited(limitMs, deadline, () => readList(this.#connection, sql)),
    );
  }

  async queryAhead(
    statements: readonly string[],
    limitMs: number,
    { sendBy, deadline, unless }: AheadLimits,
    onAnswer: (error: unknown) => void,
  ): Promise<{ readonly sent: number; readonly trouble?: unknown }> {
    const latestTurn = Math.min(sendBy, deadline);
    let sent = 0;
    const next = (): string | undefined => {
      if (sent === statements.length || performance.now() >= latestTurn) return undefined;
      if (unless?.() !== undefined) return undefined;
      sent += 1;
      return statements[sent - 1];
    };
    try {
      await this.#queue.enqueue(latestTurn, () =>
        this.#limited(limitMs, deadline, (restartLimit) =>
          pipeline(this.#connection, {
            next,
            answered: (error) => {
              restartLimit();
              onAnswer(error);
            },
          }),
        ),
      );
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
    this.#queue.onceAnswered(listener);
  }

  onceBroken(listener: () => void): void {
    streamOf(this.#connection).once('close', listener);
  }

  break(): void {
    streamOf(this.#connection).destroy(new Error('The connection is not needed any more'));
  }

  close(): void {
    if (!this.isBroken()) this.#connection.end();
    const stream = streamOf(this.#connection);
    stream.end();
    setTimeout(() => stream.destroy(), 1000).unref();
  }

  /** Breaks the connection if no answer comes within the limit and by the deadline. `restart` begins the limit anew. */
  async #limited<T>(
    limitMs: number,
    deadline: Deadline,
    send: (restart: () => void) => Promise<T>,
  ): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const restart = (): void => {
      clearTimeout(timer);
      const sentAt = performance.now();
      this.#sentAt = sentAt;
      const leftMs = Math.max(1, Math.min(limitMs, deadline - sentAt));
      timer = setTimeout(() => {
        // After mysql2's own destroy() the statement would never settle.
        streamOf(this.#connection).destroy(new DeadlineError(Math.round(leftMs)));
      }, Math.ceil(leftMs));
    };
    restart();
    try {
      return await send(restart);
    } finally {
      clearTimeout(timer);
      this.#sentAt = undefined;
    }
  }

  async #send(sql: string, areWarningsRead: boolean): Promise<ResultSet> {
    const { warningCount, ...result } = await this.#answered(sql);
    if (!areWarningsRead || warningCount === 0) return result;
    // In the same turn: another statement in between would clear the warnings.
    const { rows } = await this.#answered('SHOW WARNINGS');
    return { ...result, warnings: rows.map((row) => String(row[2])) };
  }

  #answered(sql: string): Promise<ResultSet & { readonly warningCount: number }> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#connection.query(sql, (error, rows: unknown, fields: FieldPacket[] | undefined) => {
        if (error) reject(error);
        else resolve(resultOf(rows, fields ?? []));
      });
    });
  }
}

function resultOf(result: unknown, fields: readonly FieldPacket[]) {
  const columns = fields.map(({ name }) => name);
  if (Array.isArray(result)) {
    return { columns, rows: result as unknown[][], warnings: [], warningCount: 0 };
  }
  const { warningStatus = 0 } = (result ?? {}) as { warningStatus?: number };
  return { columns, rows: [], warnings: [], warningCount: warningStatus };
}
