import { sessionOf, type ProcessListRow, type Session } from './session.ts';

/** A row whose id is a decimal integer. */
export type ListedRow = ProcessListRow & { readonly id: string };

/** The user sessions of a process list, in its order. Lists are long and few of their sessions asked for: each is made when it is. */
export class UserSessions {
  readonly #rows: ReadonlyMap<string, ListedRow>;

  /** Rows by their ids, in decimal without zeros in front. */
  constructor(rows: ReadonlyMap<string, ListedRow>) {
    this.#rows = rows;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(id: bigint): Session | undefined {
    const row = this.#rows.get(id.toString());
    return row && sessionOf(row);
  }

  has(id: string): boolean {
    return this.#rows.has(id);
  }

  /** All of them by ascending id, as rows. */
  ascending(): readonly ListedRow[] {
    return [...this.#rows.values()].sort(byId);
  }

  *keys(): Iterable<bigint> {
    for (const id of this.#rows.keys()) yield BigInt(id);
  }

  *values(): Iterable<Session> {
    for (const row of this.#rows.values()) yield sessionOf(row);
  }
}

function byId({ id: one }: ListedRow, { id: other }: ListedRow): number {
  if (one.length !== other.length) return one.length - other.length;
  return one < other ? -1 : 1;
}
