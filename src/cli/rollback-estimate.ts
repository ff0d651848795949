import { formatCount, formatDuration } from './durations.ts';
import type { ListedSession } from './listing.ts';

interface Sample {
  readonly rows: number;
  readonly atMs: number;
}

/** True if the node is undoing the transaction of a killed session. */
export function isRollingBack({ state, transaction }: ListedSession): boolean {
  return /rollback/i.test(state) || transaction?.state === 'ROLLING BACK';
}

/** The progress of rollbacks, from samples of the rows that are left. */
export class RollbackEstimate {
  readonly #first = new Map<string, Sample>();

  /** Adds a sample. Formats the rows and the time that are left; returns an empty string if the rows are not known. */
  update(leaving: readonly ListedSession[], nowMs: number): string {
    let [left, seconds] = [0, 0];
    const rolling = leaving.filter(isRollingBack);
    for (const { node, id, transaction } of rolling) {
      const rows = Number(transaction?.rowsModified ?? 0n);
      const key = `${node}/${id}`;
      const first = this.#first.get(key) ?? { rows, atMs: nowMs };
      this.#first.set(key, first);
      left += rows;
      const undone = first.rows - rows;
      if (undone > 0) seconds = Math.max(seconds, (rows * (nowMs - first.atMs)) / undone / 1000);
    }
    if (left === 0) return '';
    const about = seconds > 0 ? `, about ${formatDuration(Math.ceil(seconds))}` : '';
    return `rolling back, ${formatCount(left)} rows left${about}`;
  }
}
