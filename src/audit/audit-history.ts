import { withDeadline, type Deadline } from '../domain/deadline.ts';
import {
  MAX_READ_MS,
  mergeParts,
  ReadBudget,
  type History,
  type HistoryFilter,
  type HistoryPart,
  type KillHistory,
  type SharedRecords,
} from '../domain/kill-history.ts';
import { ServiceError, type Sentence } from '../errors.ts';
import { listAuditFiles, readBytes } from './audit-files.ts';
import type { OnUnreadable } from './audit-index.ts';
import { linesOf } from './blocks.ts';
import { FileHistory } from './file-history.ts';
import { KillCollector } from './kill-collector.ts';
import { recordIn } from './records.ts';

/** The most reads that wait: each can take a second. */
const MAX_WAITING = 8;
/** The work on the index takes turns of this time with reads, in milliseconds, so that no read waits for the whole index. */
const TURN_MS = 50;
/** The number of last bytes of the file whose records can be missing in the shared records after a lost connection or a crash. */
const TAIL_BYTES = 1024 * 1024;

/** Optional parts of the history. */
export interface AuditHistoryOptions {
  readonly shared?: SharedRecords | undefined;
  readonly maxReadMs?: number;
}

/** The history of kills from the files of the audit, and from the shared records if there are any. */
export class AuditHistory implements KillHistory {
  readonly #path: string;
  readonly #shared: SharedRecords | undefined;
  readonly #maxReadMs: number;
  readonly #files: FileHistory;
  readonly #reported = new Set<string>();
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #isCompleting = false;
  #isClosed = false;

  /** Calls `onUnreadable` once for each file that cannot be read. A read ends after `maxReadMs` milliseconds. */
  constructor(
    path: string,
    onUnreadable: OnUnreadable,
    { shared, maxReadMs = MAX_READ_MS }: AuditHistoryOptions = {},
  ) {
    [this.#path, this.#shared, this.#maxReadMs] = [path, shared, maxReadMs];
    this.#files = new FileHistory(path, (file, error) => {
      if (!this.#reported.has(file)) onUnreadable(file, error);
      this.#reported.add(file);
    });
  }

  async read(filter: HistoryFilter, deadline: Deadline): Promise<History> {
    if (this.#waiting >= MAX_WAITING) throw new ServiceError('overloaded', BUSY);
    this.#waiting += 1;
    // Reads take turns, so that they leave time for kills.
    const reading = this.#inTurn(() => this.#read(filter)).finally(() => {
      this.#waiting -= 1;
      void this.#completeIndex();
    });
    return withDeadline(deadline, reading, () => new ServiceError('overloaded', BUSY));
  }

  /** Adds the last records of the file to the shared records if they are missing there. Never rejects. */
  async shareTail(): Promise<void> {
    try {
      const { files } = await listAuditFiles(this.#path);
      const file = files.find(({ path }) => path === this.#path);
      if (file === undefined) return;
      const bytes = Math.min(file.size, TAIL_BYTES);
      const tail = await readBytes(file, file.size - bytes, bytes);
      // The first line can be incomplete. Then it is no record.
      const records = linesOf({ content: tail }).flatMap((line) => {
        const record = recordIn(line);
        const isKill = record?.record === 'intent' || record?.record === 'outcome';
        return isKill ? [{ line, time: Date.parse(record.time) }] : [];
      });
      await this.#shared?.shareMissing(records);
    } catch {
      // The file was rotated or cannot be read, or the connection was lost. The next connection tries again.
    }
  }

  /** Stops the work on the index. Resolves once no file is read or written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
  }

  async #read(filter: HistoryFilter): Promise<History> {
    const share = this.#shared === undefined ? 1 : 0.5;
    const [own, others] = await Promise.all([
      this.#files.read(filter, new ReadBudget(share, this.#maxReadMs)),
      this.#readShared(filter, new ReadBudget(share, this.#maxReadMs)),
    ]);
    const merged = mergeParts(others === undefined ? [own] : [own, others.part]);
    return { ...merged, isReplicaOnly: others === undefined || others.since > filter.from };
  }

  async #readShared(
    filter: HistoryFilter,
    budget: ReadBudget,
  ): Promise<{ readonly part: HistoryPart; readonly since: number } | undefined> {
    const collector = new KillCollector(filter);
    const read = await this.#shared?.read(filter, collector, budget);
    if (read === undefined) return undefined;
    const part = { kills: collector.kills(), readFrom: read.readFrom, isReadable: true };
    return { part, since: read.since };
  }

  async #completeIndex(): Promise<void> {
    if (this.#isCompleting) return;
    this.#isCompleting = true;
    try {
      let isComplete = false;
      while (!isComplete && !this.#isClosed) {
        isComplete = await this.#inTurn(() => this.#files.completeIndex(TURN_MS));
      }
    } catch {
      // The next read finds the same error, and reports it.
    } finally {
      this.#isCompleting = false;
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

const BUSY: Sentence = {
  'en-us': 'Too many requests read the history of kills. Retry later.',
  'zh-cn': '读取终止历史的请求过多，请稍后重试。',
};
