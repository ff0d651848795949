import { sessionOf, type ProcessListRow, type Session } from './session.ts';

/** A row whose id is a decimal integer. */
export type ListedRow = ProcessListRow & { readonly id: string };

/** The user sessions of a process list, in its order. Lists are long and few of their sessions asked for: each is made when it is. */
export class UserSessions {
  readonly #rows: ReadonlyMap<string, ListedRow | undefined>;

  /** What else the list shows. */
  readonly others: readonly ProcessListRow[];

  /** Rows by their ids, in decimal without zeros in front; undefined for what is no user session. */
  constructor(rows: ReadonlyMap<string, ListedRow | undefined>, others: readonly ProcessListRow[]) {
    this.#rows = rows;
    this.others = others;
  }

  get(id: bigint): Session | undefined {
    const row = this.#rows.get(id.toString());
    return row && sessionOf(row);
  }

  /** All of them by ascending id, as rows. */
  ascending(): readonly ListedRow[] {
    return this.#shown().sort(byId);
  }

  /** All of them. */
  all(): readonly Session[] {
    return this.#shown().map(sessionOf);
  }

  #shown(): ListedRow[] {
    const shown: ListedRow[] = [];
    for (const row of this.#rows.values()) if (row !== undefined) shown.push(row);
    return shown;
  }
}

function byId({ id: one }: ListedRow, { id: other }: ListedRow): number {
  if (one.length !== other.length) return one.length - other.length;
  return one < other ? -1 : 1;
}
