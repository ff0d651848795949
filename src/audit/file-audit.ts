import { isNativeError } from 'node:util/types';
import type { Audit, Conclusion, Denial, Intent } from '../domain/termination.ts';
import { withDeadline, type Deadline } from '../domain/deadline.ts';
import { ServiceError } from '../errors.ts';
import { deniedRecord, intentRecord, lineOf, now, outcomeRecord } from './records.ts';
import { LEAST_FREE_BYTES, LineFile } from './line-file.ts';

/** Outcomes that are owed to the file while it cannot be written. */
const MAX_OWED = 1000;
/** A disk that has not taken a line after so long is in trouble, whatever it says later. */
const SLOW_MS = 5000;
/** While it is in trouble, who wants to kill is not kept waiting for longer to hear so. */
const PATIENCE_MS = 1000;

/** The record of kills as a file of JSON lines, one record a line. */
export class FileAudit implements Audit {
  readonly #file: LineFile;
  readonly #onTrouble: (error: unknown) => void;
  readonly #onBack: () => void;
  #trouble: string | undefined;
  readonly #owed: object[] = [];
  #probe: Promise<void> | undefined;
  #looking: Promise<boolean> | undefined;

  /** `pid` is for the record. `onTrouble` hears when records can no longer be put down, and `onBack` when they can be again. */
  constructor(
    file: LineFile,
    pid: number,
    onTrouble: (error: unknown) => void,
    onBack: () => void = () => undefined,
  ) {
    [this.#file, this.#onTrouble, this.#onBack] = [file, onTrouble, onBack];
    this.#probe = this.#try({ record: 'started', time: now(), pid });
  }

  async intend(intent: Intent, deadline: Deadline): Promise<void> {
    const patienceMs = this.#trouble === undefined ? SLOW_MS : PATIENCE_MS;
    try {
      await withDeadline(
        Math.min(deadline, performance.now() + patienceMs),
        this.#append(intentRecord(intent)),
        tooSlow,
      );
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  conclude(conclusion: Conclusion): void {
    this.#appendInTheEnd(outcomeRecord(conclusion));
  }

  deny(denial: Denial): void {
    this.#appendSoon(deniedRecord(denial));
  }

  /** Undefined when records can be put down; else why not. Tries it when it last failed. */
  async trouble(): Promise<string | undefined> {
    // One for all who ask: each takes one of Node's threads, as long as the file system does not answer.
    this.#looking ??= this.#file.freeBytes().then(
      (free) => free < LEAST_FREE_BYTES,
      () => false,
    );
    const looking = this.#looking.finally(() => (this.#looking = undefined));
    const isFull = await withDeadline(performance.now() + SLOW_MS, looking).catch(() => undefined);
    if (isFull === undefined) return 'ETIMEDOUT';
    if (isFull) return 'ENOSPC';
    if (this.#trouble !== undefined) this.#probe ??= this.#try({ record: 'resumed', time: now() });
    if (this.#probe !== undefined)
      await withDeadline(performance.now() + SLOW_MS, this.#probe).catch(() => undefined);
    return this.#trouble;
  }

  /** The file was renamed: records from now on go to a new one of its name. */
  reopen(): void {
    this.#file.reopen();
    this.#appendSoon({ record: 'reopened', time: now() });
  }

  /** Puts down what waits. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  async #try(record: object): Promise<void> {
    await this.#append(record).then(
      () => {
        for (const owed of this.#owed.splice(0)) this.#appendInTheEnd(owed);
      },
      () => undefined,
    );
    this.#probe = undefined;
  }

  /** What was done stays owed until it is on record. */
  #appendInTheEnd(record: object): void {
    this.#append(record, { hasTime: true }).then(
      () => {
        for (const owed of this.#owed.splice(0)) this.#appendInTheEnd(owed);
      },
      () => {
        if (this.#owed.length < MAX_OWED) this.#owed.push(record);
      },
    );
  }

  #appendSoon(record: object): void {
    this.#append(record, { hasTime: true }).catch(() => undefined);
  }

  async #append(record: object, { hasTime = false } = {}): Promise<void> {
    const slow = setTimeout(() => {
      this.#fail(new Error(`Nothing was written within ${SLOW_MS} ms.`));
    }, SLOW_MS).unref();
    try {
      await this.#file.append(lineOf(record), { hasTime });
      if (this.#trouble !== undefined) this.#onBack();
      this.#trouble = undefined;
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      clearTimeout(slow);
    }
  }

  #fail(error: unknown): void {
    const isNew = this.#trouble === undefined;
    this.#trouble = reasonOf(error);
    if (isNew) this.#onTrouble(error);
  }
}

function tooSlow(): Error {
  return new Error('The disk took too long.');
}

function unavailable(cause: unknown): ServiceError {
  const reason = reasonOf(cause);
  return new ServiceError(
    'audit_unavailable',
    {
      'en-us': `The audit cannot be written (${reason}), so nothing was killed.`,
      'zh-cn': `无法写入审计记录（${reason}），未终止任何会话。`,
    },
    { cause },
  );
}

/** The system's code, such as ENOSPC: its message has the path. */
function reasonOf(error: unknown): string {
  if (!isNativeError(error)) return 'unknown';
  return 'code' in error ? String(error.code) : error.message;
}
