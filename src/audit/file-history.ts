import type { HistoryFilter, HistoryPart, ReadBudget } from '../domain/kill-history.ts';
import { FileChanged, readBytes } from './audit-files.ts';
import { AuditIndex, type OnUnreadable, type PlacedBlock } from './audit-index.ts';
import { compressedBlocks, linesOf, type Block } from './blocks.ts';
import { KillCollector } from './kill-collector.ts';

const MAX_ATTEMPTS = 5;
/** After the clock is set back, a later line can have an earlier time than the lines before it, by at most this time in milliseconds. */
const CLOCK_STEP_MS = 3_600_000;

/** A caller that continues after a limit reads the last block again. With one block a read, the caller would never get further. */
const LEAST_BLOCKS = 2;

/** The kills in the files of an audit. Its methods must not run at the same time. */
export class FileHistory {
  readonly #index: AuditIndex;

  constructor(path: string, onUnreadable: OnUnreadable) {
    this.#index = new AuditIndex(path, onUnreadable);
  }

  /** Reads the newest kills that pass the filter. Throws the error of the audit's folder. */
  async read(filter: HistoryFilter, budget: ReadBudget): Promise<HistoryPart> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#readOnce(filter, budget);
      } catch (error) {
        // The files were rotated during the read: the same lines are in files with other names now.
        if (!(error instanceof FileChanged) || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  /** Extends the index for about `ms` milliseconds. Returns true if the index is complete and saved, or if the files have changed. */
  async completeIndex(ms: number): Promise<boolean> {
    const end = performance.now() + ms;
    try {
      await this.#index.extend(() => performance.now() > end);
    } catch (error) {
      if (error instanceof FileChanged) return true;
      throw error;
    }
    if (this.#index.incomplete !== undefined) return false;
    await this.#index.save();
    return true;
  }

  async #readOnce(filter: HistoryFilter, budget: ReadBudget): Promise<HistoryPart> {
    const index = this.#index;
    await index.refresh();
    const unknownUntil = await this.#indexFor(filter, budget);
    const collector = new KillCollector(filter);
    const read = new Set<Block>();
    const { chosen, newestLeftOut } = choose(index.blocks(), filter, budget.left);
    let leftOut = Math.max(unknownUntil, newestLeftOut);
    for (const placed of chosen) {
      if (read.has(placed.block)) continue;
      if (read.size >= LEAST_BLOCKS && budget.isOver) {
        leftOut = Math.max(leftOut, placed.block.last);
        break;
      }
      await readInto(collector, placed, chosen, read);
    }
    const unresolved = collector.unresolvedRequests();
    const withOutcomes = index
      .blocks()
      .filter(({ block }) => block.carried.some((requestId) => unresolved.has(requestId)));
    for (const placed of withOutcomes) {
      if (!read.has(placed.block)) await readInto(collector, placed, withOutcomes, read);
    }
    return { kills: collector.kills(), readFrom: leftOut + 1, isReadable: index.isReadable };
  }

  /**
   * Extends the index back to the begin of the period. Stops earlier if the newest lines are known, and hold more records than the read
   * may have or half of its time is over. Returns the latest time of an unknown line, or -Infinity if that is before the period.
   */
  async #indexFor(filter: HistoryFilter, budget: ReadBudget): Promise<number> {
    const index = this.#index;
    const since = filter.from - CLOCK_STEP_MS;
    const isFull = (): boolean =>
      choose(index.blocks(), filter, budget.left).newestLeftOut > -Infinity;
    await index.extend(() => {
      const unknownUntil = index.unknownUntil();
      return unknownUntil < since || (unknownUntil < Infinity && (budget.isHalfOver || isFull()));
    });
    const unknownUntil = index.unknownUntil();
    return unknownUntil < since ? -Infinity : unknownUntil;
  }
}

/** Chooses the newest blocks of the period that hold this number of records, at least two blocks. */
function choose(
  blocks: readonly PlacedBlock[],
  { from, until, instanceId }: HistoryFilter,
  records: number,
): { readonly chosen: readonly PlacedBlock[]; readonly newestLeftOut: number } {
  const wanted = blocks
    .filter(({ block: { first, last, instances } }) => {
      const hasInstance = instances === undefined || instances.includes(instanceId);
      return hasInstance && last >= from && first < until;
    })
    .sort((one, other) => other.block.last - one.block.last);
  let [count, size] = [0, 0];
  for (const { block } of wanted) {
    if (size >= LEAST_BLOCKS && count + block.count > records) break;
    count += block.count;
    size += 1;
  }
  return { chosen: wanted.slice(0, size), newestLeftOut: wanted[size]?.block.last ?? -Infinity };
}

/** Reads a block. A compressed file can be read only from its beginning, so all of `wanted` that are in it are read together. */
async function readInto(
  { add }: KillCollector,
  { file, block }: PlacedBlock,
  wanted: readonly PlacedBlock[],
  read: Set<Block>,
): Promise<void> {
  read.add(block);
  if (!file.isCompressed) {
    const content = await readBytes(file, block.at, block.bytes);
    linesOf({ content }).forEach(add);
    return;
  }
  const missing = new Map(
    wanted.flatMap((one) => (one.file === file ? [[one.block.at, one.block] as const] : [])),
  );
  for await (const { at, content } of compressedBlocks(file)) {
    const one = missing.get(at);
    if (one === undefined) continue;
    linesOf({ content }).forEach(add);
    read.add(one);
    missing.delete(at);
    if (missing.size === 0) return;
  }
}
