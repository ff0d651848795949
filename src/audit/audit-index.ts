import { createHash } from 'node:crypto';
import { FileChanged, listAuditFiles, readBytes, type AuditFile } from './audit-files.ts';
import { compressedBlocks, lastBlock, scanBlock, type Block } from './blocks.ts';
import { loadIndex, saveIndex, type IndexedFile } from './index-file.ts';

/** A last block with fewer bytes is read again when its file has grown. */
const WHOLE_BYTES = 32 * 1024;
/** The number of bytes at the end of the known part of a file. If they are unchanged, the file has only grown. */
const SEAM_BYTES = 64;

/** A block, and the file that has it. */
export interface PlacedBlock {
  readonly file: AuditFile;
  readonly block: Block;
}

/** Called with a file that cannot be read, and the error. */
export type OnUnreadable = (path: string, error: unknown) => void;

/**
 * Finds the lines of a period in the files of an audit. The index has a file of its own beside them. All of its facts come
 * from these files: it reads missing, stale or damaged parts again, the newest lines first. Only the history of kills uses the index.
 */
export class AuditIndex {
  readonly #path: string;
  readonly #onUnreadable: OnUnreadable;
  #known: Map<string, IndexedFile> | undefined;
  #files: readonly AuditFile[] = [];
  #savedBlocks = 0;
  /** False if a part of the files cannot be read. */
  isReadable = true;

  constructor(path: string, onUnreadable: OnUnreadable) {
    [this.#path, this.#onUnreadable] = [path, onUnreadable];
  }

  /** Lists the files again, and drops the blocks of changed files. Throws the error of the folder. */
  async refresh(): Promise<void> {
    this.#known ??= await this.#load();
    const { files, unreadable } = await listAuditFiles(this.#path);
    this.isReadable = unreadable.length === 0;
    for (const { path, error } of unreadable) this.#onUnreadable(path, error);
    this.#files = files;
    const known = this.#known;
    this.#known = new Map();
    for (const file of files) {
      const still = await grown(file, known.get(file.key));
      if (still.isDamaged) this.isReadable = false;
      this.#known.set(file.key, still);
    }
  }

  /** The newest file with lines that the index does not know. */
  get incomplete(): AuditFile | undefined {
    return this.#files.find((file) => gapIn(file, this.#of(file)) !== undefined);
  }

  /** Reads unknown lines, the newest first, until all are known or `isEnough` returns true. Throws `FileChanged`. */
  async extend(isEnough: () => boolean): Promise<void> {
    for (let file = this.incomplete; file !== undefined && !isEnough(); file = this.incomplete) {
      if (file.isCompressed) await this.#readCompressed(file, isEnough);
      else await this.#readGap(file);
    }
  }

  /** Returns the known blocks, in no order. */
  blocks(): readonly PlacedBlock[] {
    return this.#files.flatMap((file) => this.#of(file).blocks.map((block) => ({ file, block })));
  }

  /** Returns the latest time that an unknown line can have, in milliseconds since 1970; -Infinity if all lines are known. */
  unknownUntil(): number {
    const file = this.incomplete;
    if (file === undefined) return -Infinity;
    const gap = gapIn(file, this.#of(file));
    let earliest = Infinity;
    for (const newer of this.#files.slice(0, this.#files.indexOf(file) + 1)) {
      for (const { at, first } of this.#of(newer).blocks) {
        if (newer !== file || at >= (gap?.to ?? 0)) earliest = Math.min(earliest, first);
      }
    }
    return earliest;
  }

  /** Writes the index to its file if the number of its blocks has changed. A failure has no effect: the next start reads the lines again. */
  async save(): Promise<void> {
    const known = this.#known ?? new Map<string, IndexedFile>();
    const blocks = [...known.values()].reduce((sum, file) => sum + file.blocks.length, 0);
    if (blocks === this.#savedBlocks) return;
    this.#savedBlocks = blocks;
    await saveIndex(this.#path, known);
  }

  async #load(): Promise<Map<string, IndexedFile>> {
    const known = await loadIndex(this.#path);
    this.#savedBlocks = [...known.values()].reduce((sum, file) => sum + file.blocks.length, 0);
    return known;
  }

  async #readGap(file: AuditFile): Promise<void> {
    const known = this.#of(file);
    const gap = gapIn(file, known);
    if (gap === undefined) return;
    try {
      const content = await lastBlock(file, gap.from, gap.to);
      const isEarliest = (known.blocks.at(-1)?.at ?? Infinity) > content.at;
      known.blocks.push(scanBlock(content));
      if (!isEarliest) known.blocks.sort((one, other) => other.at - one.at);
      if (gap.to === file.size) known.seam = hashOf(content.content.subarray(-SEAM_BYTES));
    } catch (error) {
      this.#giveUp(file, error);
    }
  }

  async #readCompressed(file: AuditFile, isEnough: () => boolean): Promise<void> {
    const known = this.#of(file);
    const blocks: Block[] = [];
    try {
      for await (const content of compressedBlocks(file)) {
        blocks.unshift(scanBlock(content));
        if (isEnough()) return;
      }
    } catch (error) {
      this.#giveUp(file, error);
      known.isDamaged = true;
    }
    [known.blocks, known.isDone] = [blocks, true];
  }

  /** Leaves out a file, or the damaged part of a compressed one, until the next refresh. */
  #giveUp(file: AuditFile, error: unknown): void {
    if (error instanceof FileChanged) throw error;
    this.isReadable = false;
    this.#onUnreadable(file.path, error);
    if (!file.isCompressed) this.#files = this.#files.filter((one) => one !== file);
  }

  #of(file: AuditFile): IndexedFile {
    return this.#known?.get(file.key) ?? nothing();
  }
}

function nothing(): IndexedFile {
  return { blocks: [], size: 0, modifiedMs: 0, seam: '', isDone: false, isDamaged: false };
}

/** Returns the last unknown part of a file, or undefined. */
function gapIn(
  { size, isCompressed }: AuditFile,
  { blocks, isDone }: IndexedFile,
): { readonly from: number; readonly to: number } | undefined {
  if (isCompressed) return isDone ? undefined : { from: 0, to: Infinity };
  let to = size;
  for (const { at, bytes } of blocks) {
    if (at + bytes < to) return { from: at + bytes, to };
    to = at;
  }
  return to > 0 ? { from: 0, to } : undefined;
}

/** Returns the known part of a file if the file has only grown. Otherwise nothing is known. */
async function grown(file: AuditFile, known: IndexedFile | undefined): Promise<IndexedFile> {
  if (known === undefined) return nothing();
  const { size, modifiedMs } = file;
  const isSame = known.size === size && known.modifiedMs === modifiedMs;
  if (file.isCompressed || isSame) return { ...known, size, modifiedMs };
  const last = known.blocks[0];
  if (last === undefined) return nothing();
  const end = last.at + last.bytes;
  if (end > size) return nothing();
  const seamBytes = Math.min(SEAM_BYTES, last.bytes);
  const seam = await readBytes(file, end - seamBytes, seamBytes).catch(() => undefined);
  if (seam === undefined || hashOf(seam) !== known.seam) return nothing();
  const isWhole = last.bytes >= WHOLE_BYTES && seam.at(-1) === 0x0a;
  const blocks = isWhole ? known.blocks : known.blocks.slice(1);
  return { ...known, blocks, size, modifiedMs };
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
