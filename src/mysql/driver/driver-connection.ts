import { isNativeError } from 'node:util/types';
import type { Deadline } from '../../domain/deadline.ts';
import { ServiceError, type Sentence } from '../../errors.ts';
import type { List } from './list-rows.ts';

/** The result of a statement: the column names, and the rows in their order. */
export interface ResultSet {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  /** The warnings of the server, if `areWarningsRead` is set. */
  readonly warnings: readonly string[];
}

/** The server's first packet, sent before the login. A proxy writes its own. */
export interface Greeting {
  /** The thread id: the low 32 bits of the session id. */
  readonly threadId: number;
  /** The version, which need not be the one that VERSION() returns. */
  readonly version: string;
}

/** Returns the reason why a statement must not be sent; undefined if it may be sent. Called when the turn of the statement comes. */
export type Unless = () => ServiceError | undefined;

/** The options of one statement. Without `sendBy` it can be sent until its deadline. */
export interface QueryOptions {
  readonly sendBy?: Deadline;
  readonly areWarningsRead?: boolean;
  readonly unless?: Unless;
}

/** The time limits of statements that are sent ahead, with a check before each. */
export interface AheadLimits {
  readonly sendBy: Deadline;
  readonly deadline: Deadline;
  readonly unless?: Unless;
}

/** A connection of the driver, with a deadline for each statement. It never reconnects. `Mysql2Connection` in `mysql2-connection.ts` implements it. */
export interface DriverConnection {
  /**
   * Sends a statement when its turn comes. Throws NotSentError if the turn does not come by `sendBy` and the deadline, if the connection
   * breaks before, or if `unless` returns an error. Throws DeadlineError, and breaks the connection, if no answer comes within `limitMs` and
   * by the deadline. Throws the driver's error if the statement or the connection fails.
   */
  query(
    sql: string,
    limitMs: number,
    deadline: Deadline,
    options?: QueryOptions,
  ): Promise<ResultSet>;
  /** Returns the rows of a process list. Throws as `query` does. */
  list(sql: string, limitMs: number, deadline: Deadline): Promise<List>;
  /**
   * Sends statements without rows in one turn, many before the first is answered, none after `sendBy`. Calls `unless` before each, and sends
   * no more once that returns an error. Calls `onAnswer` for each answer in order, with the driver's error or undefined. Each answer must come
   * within `limitMs` of the previous one. Returns the number of statements sent, and the error of the connection if it broke.
   */
  queryAhead(
    statements: readonly string[],
    limitMs: number,
    until: AheadLimits,
    onAnswer: (error: unknown) => void,
  ): Promise<{ readonly sent: number; readonly trouble?: unknown }>;
  readonly greeting: Greeting;
  /** The IP address of the server, or of a proxy before it. */
  readonly remoteAddress: string | undefined;
  isBroken(): boolean;
  isEncrypted(): boolean;
  /** Returns the time that the present statement has waited for its answer, in milliseconds; 0 if there is none. */
  busyMs(): number;
  /** Sets whether the connection keeps the process alive, as it must while a request uses it. */
  holdProcess(isWanted: boolean): void;
  /** Calls the listener once, when the present statement has its answer or the connection breaks. */
  onceAnswered(listener: () => void): void;
  /** Calls the listener once, when the connection breaks or is closed. */
  onceBroken(listener: () => void): void;
  /** Breaks the connection at once: no statement that waits is sent. */
  break(): void;
  close(): void;
}

/** The error of a statement that the node did not answer in time. */
export class DeadlineError extends Error {
  readonly code = 'DEADLINE';
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`No answer within ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/** The error of a node whose certificate cannot be verified. */
export class CertificateError extends Error {
  readonly code = 'CERTIFICATE';

  constructor(cause: unknown) {
    super('The certificate cannot be verified', { cause });
  }
}

/** The error of a node that requests the password without TLS. The password is not sent. */
export class KeylessError extends Error {
  readonly code = 'KEYLESS';

  constructor() {
    super('The password would go to the node without TLS, under a key that nothing verifies');
  }
}

/** Returns the node's setting of `tls` if the error is of a login without TLS, else undefined. With `offered`, the node offers no TLS. */
export function withoutTls(error: unknown): 'offered' | 'disabled' | undefined {
  return isNativeError(error) && 'withoutTls' in error
    ? (error.withoutTls as 'offered' | 'disabled')
    : undefined;
}

/** The error of a statement that was surely not sent, with the reason. */
export class NotSentError extends Error {
  readonly trouble: ServiceError;

  constructor(trouble: ServiceError) {
    super(trouble.message);
    this.trouble = trouble;
  }
}

/** The connection to the node was lost. */
export const LOST: Sentence = {
  'en-us': 'The connection to the node was lost.',
  'zh-cn': '与节点的连接已断开。',
};

/** Returns the error of a lost connection. */
export function connectionLost(): ServiceError {
  return new ServiceError('node_unavailable', LOST);
}

/** Returns the code of an error: Node's (`ECONNREFUSED`), the driver's (`PROTOCOL_…`) or the server's symbol (`ER_…`). */
export function codeOf(error: unknown): string | undefined {
  return isNativeError(error) && 'code' in error ? String(error.code) : undefined;
}
