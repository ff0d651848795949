/** The statement that a session runs, as the node showed it in one look. */
export interface RunningStatement {
  /** The node's number of the statement; undefined if the node shows none. No two statements of a session have the same. */
  readonly id: bigint | undefined;
  /** True if `id` stays the same while a routine runs statements of its own: MySQL. On MariaDB each of these statements has its own id. */
  readonly isClientsId: boolean;
  /** True if KILL takes `id`, so that it ends no other statement: MariaDB. */
  readonly isKilledById: boolean;
  /** True if the node shows that a KILL has marked the statement. */
  readonly isEnding: boolean;
  /** The text, as far as the node shows it. */
  readonly info: string;
  /** The statement has run at least this time, in milliseconds; 0 if the node shows no time. */
  readonly ranMs: number;
}

/** The statements of some sessions at one moment. */
export interface StatementLook {
  /** The times at which the look was sent and answered, in milliseconds of `performance.now()`. */
  readonly askedAt: number;
  readonly answeredAt: number;
  /** The statement of each session; `idle` if the session runs none. A session that is missing has left. */
  readonly running: ReadonlyMap<bigint, RunningStatement | 'idle'>;
}

/** A statement, and the time at which the look that showed it was sent. */
export interface SeenStatement {
  readonly statement: RunningStatement;
  readonly askedAt: number;
}

/** A routine must have begun at least this time before the first look, in milliseconds. A shorter time can come from a torn look. */
const OLD_MS = 1000;

/**
 * Compares a statement with the one that a later look shows for the same session. A look is torn if it shows the time of one statement
 * beside the id of the next.
 * - `same`: it is that statement.
 * - `routine`: it is another statement of a routine that began before the first look, unless the look is torn.
 * - `other`: the first statement has ended.
 * - `unclear`: the first statement has ended, or is a routine that runs another statement.
 */
export function compareStatements(
  { statement: seen, askedAt }: SeenStatement,
  found: RunningStatement,
  answeredAt: number,
): 'same' | 'routine' | 'other' | 'unclear' {
  // If the first look was torn, the later look shows another text or a shorter time.
  const isLike = seen.info === found.info && seen.ranMs <= found.ranMs;
  if (seen.id === found.id && isLike) return 'same';
  if (seen.isClientsId && found.isClientsId) return 'other';
  // A client runs one statement at a time.
  return found.ranMs > answeredAt - askedAt + OLD_MS ? 'routine' : 'unclear';
}

/** Process lists cut texts at 100 bytes, and the last character can be incomplete. */
const SHORTEST_CUT = 97;

/** Returns true if a statement begins with the text that the caller saw, as far as the node shows the statement. */
export function beginsWith({ info }: RunningStatement, expected: string): boolean {
  const isCut = Buffer.byteLength(info) >= SHORTEST_CUT;
  return info.startsWith(expected) || (isCut && expected.startsWith(info));
}
