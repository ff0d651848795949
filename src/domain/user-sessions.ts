import { sessionOf, type ProcessListRow, type Session } from './session.ts';

/** A row whose id is a decimal integer without zeros in front. */
export type ListedRow = ProcessListRow & { readonly id: string };

/** The user sessions of a process list. Lists are long and few of their sessions asked for: each is made when it is. */
export class UserSessions {
  /** All of them by ascending id, as rows. */
  readonly ascending: readonly ListedRow[];
  /** What else the list shows. */
  readonly others: readonly ProcessListRow[];

  /** The first by ascending id, no id twice. */
  constructor(ascending: readonly ListedRow[], others: readonly ProcessListRow[]) {
    this.ascending = ascending;
    this.others = others;
  }

  get(id: bigint): Session | undefined {
    const wanted = id.toString();
    let [low, high] = [0, this.ascending.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.ascending[middle];
      if (row === undefined) return undefined;
      const order = compareIds(wanted, row.id);
      if (order === 0) return sessionOf(row);
      if (order < 0) high = middle;
      else low = middle + 1;
    }
    return undefined;
  }
}

/** Below 0, 0 or above: how two decimal integers without zeros in front compare. */
export function compareIds(one: string, other: string): number {
  if (one.length !== other.length) return one.length - other.length;
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
