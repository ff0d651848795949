/** A row of the process list as the node gave it, by column name; a NULL stays null. */
export interface ProcessListRow {
  readonly id: string | null;
  readonly user: string | null;
  readonly host: string | null;
  readonly db: string | null;
  readonly command: string | null;
  readonly time: string | null;
  readonly state: string | null;
  readonly info: string | null;
}

/** One client connected to a node. */
export interface Session {
  /** What KILL takes; exact, from 1 to 2^64-1, unique within an incarnation of the node. */
  readonly id: bigint;
  readonly user: string;
  /** `address:port`, or `localhost` for the node's Unix socket. */
  readonly host: string;
  readonly db: string;
  readonly command: string;
  /** Whole seconds in the present state, 0 or more. */
  readonly time: bigint;
  readonly state: string;
  /** The statement, as far as the node shows it. */
  readonly info: string;
}

/** The session that a row shows. The row's id must be a decimal integer: `userSessions` has seen to that. */
export function sessionOf(row: ProcessListRow & { readonly id: string }): Session {
  return {
    id: BigInt(row.id),
    user: row.user ?? '',
    host: row.host ?? '',
    db: row.db ?? '',
    command: row.command ?? '',
    time: /^\d+$/.test(row.time ?? '') ? BigInt(row.time ?? 0) : 0n,
    state: row.state ?? '',
    info: row.info ?? '',
  };
}
