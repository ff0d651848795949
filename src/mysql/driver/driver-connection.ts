import type { Deadline } from '../../domain/deadline.ts';
import type { ServiceError } from '../../errors.ts';
import type { List } from './list-reader.ts';

/** What a statement returned: the column names, and the rows in their order. */
export interface ResultSet {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  /** What the server warns of, where that was to be read. */
  readonly warnings: readonly string[];
}

/** The server's first packet, sent before the login. A proxy writes its own. */
export interface Greeting {
  /** The thread id: the low 32 bits of the session id. */
  readonly threadId: number;
  /** The version, which need not be the one that VERSION() returns. */
  readonly version: string;
}

/** Returns why a statement must not be sent; undefined if it may be. The queue calls this when the turn of the statement comes. */
export type Unless = () => ServiceError | undefined;

/** A connection of the driver, with a deadline for each statement; after an error of the line it stays broken. */
export interface DriverConnection {
  /**
   * Sends a statement when it is its turn. Rejects with a NotSentError when that does not come by the deadline or by `sendBy`, the
   * connection breaks before, or `unless` returns an error; with the driver's error; or with a DeadlineError when no answer comes within
   * `limitMs` and by the deadline: then the connection is broken.
   */
  query(
    sql: string,
    limitMs: number,
    deadline: Deadline,
    options?: {
      readonly sendBy?: Deadline;
      readonly areWarningsRead?: boolean;
      readonly unless?: Unless;
    },
  ): Promise<ResultSet>;
  /** The rows of a process list, by a statement that gives one; as `query` otherwise. */
  list(sql: string, limitMs: number, deadline: Deadline): Promise<List>;
  /**
   * Sends statements that return no rows, in one turn, none after `sendBy` and many before those in front are answered. Calls `unless`
   * before each, and sends no more once it returns an error. `answered` hears of each answer, in their order: the driver's error, or
   * undefined for OK. Resolves when no more will come, with how many were sent, and the error of the line if it broke.
   */
  queryAhead(
    statements: readonly string[],
    limitMs: number,
    until: { readonly sendBy: Deadline; readonly deadline: Deadline; readonly unless?: Unless },
    answered: (error: unknown) => void,
  ): Promise<{ readonly sent: number; readonly trouble?: unknown }>;
  readonly greeting: Greeting;
  /** The IP address of the server, or of what passes its bytes on. */
  readonly remoteAddress: string | undefined;
  isBroken(): boolean;
  isEncrypted(): boolean;
  /** For how many milliseconds the present statement has waited for its answer; 0 when there is none. */
  busyMs(): number;
  /** Whether it keeps the process from ending: it should only while somebody waits for it. */
  holdProcess(isWanted: boolean): void;
  /** Has this called when the statement that is under way has its answer, or the connection broke. */
  onceAnswered(listener: () => void): void;
  /** Has this called when it has broken or was closed. */
  onceBroken(listener: () => void): void;
  /** Breaks it at once: nothing that waits is sent. */
  break(): void;
  close(): void;
}
