import { isNativeError } from 'node:util/types';
import type { Audit, Conclusion, Denial, Intent } from '../domain/termination.ts';
import { withDeadline, type Deadline } from '../domain/deadline.ts';
import { ServiceError } from '../errors.ts';
import { deniedRecord, intentRecord, lineOf, now, outcomeRecord } from './records.ts';
import type { AuditRecord } from './records.ts';
import { LEAST_FREE_BYTES, LineFile } from './line-file.ts';

/** The most outcomes that wait in memory while the file cannot be written. */
const MAX_UNWRITTEN = 1000;
/** A write that takes longer than this time in milliseconds counts as failed, even if it succeeds later. */
const SLOW_MS = 5000;
/** After a failure a kill waits for the disk for at most this time, in milliseconds. */
const SHORT_WAIT_MS = 1000;

/** Optional parts of the record. */
export interface FileAuditOptions {
  /** True to record the statement of each session, as the process list shows it. */
  readonly recordsStatements?: boolean;
  /** Called with each line about kills once the line is in the file, and with its time in milliseconds since 1970. Must not throw. */
  readonly onWritten?: ((line: string, time: number) => void) | undefined;
}

/** The record of kills as a file of JSON lines, one record per line. */
export class FileAudit implements Audit {
  readonly #file: LineFile;
  readonly #onTrouble: (error: unknown) => void;
  readonly #onBack: () => void;
  readonly #recordsStatements: boolean;
  readonly #onWritten: FileAuditOptions['onWritten'];
  #trouble: string | undefined;
  readonly #unwritten: object[] = [];
  #probe: Promise<void> | undefined;
  #spaceCheck: Promise<boolean> | undefined;

  /**
   * Records `pid`. Calls `onTrouble` with the first error of an outage of the file, and `onBack` when a record is written again.
   * Records the statements of sessions if `recordsStatements` is true.
   */
  constructor(
    file: LineFile,
    pid: number,
    onTrouble: (error: unknown) => void,
    onBack: () => void = () => undefined,
    { recordsStatements = false, onWritten }: FileAuditOptions = {},
  ) {
    [this.#file, this.#onTrouble, this.#onBack] = [file, onTrouble, onBack];
    [this.#recordsStatements, this.#onWritten] = [recordsStatements, onWritten];
    this.#probe = this.#try({ record: 'started', time: now(), pid });
  }

  async intend(intent: Intent, deadline: Deadline): Promise<void> {
    const waitMs = this.#trouble === undefined ? SLOW_MS : SHORT_WAIT_MS;
    try {
      await withDeadline(
        Math.min(deadline, performance.now() + waitMs),
        this.#append(intentRecord(intent, this.#recordsStatements)),
        tooSlow,
      );
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  conclude(conclusion: Conclusion): void {
    this.#appendOrKeep(outcomeRecord(conclusion));
  }

  deny(denial: Denial): void {
    this.#appendSoon(deniedRecord(denial));
  }

  /** Returns undefined if records can be written, else the system's error code or a message. After a failure it tries to write a record. */
  async trouble(): Promise<string | undefined> {
    // All callers share one check: each check on a hung file system blocks one of Node.js's threads.
    this.#spaceCheck ??= this.#file.freeBytes().then(
      (free) => free < LEAST_FREE_BYTES,
      () => false,
    );
    const spaceCheck = this.#spaceCheck.finally(() => (this.#spaceCheck = undefined));
    const isFull = await withDeadline(performance.now() + SLOW_MS, spaceCheck).catch(
      () => undefined,
    );
    if (isFull === undefined) return 'ETIMEDOUT';
    if (isFull) return 'ENOSPC';
    if (this.#trouble !== undefined) this.#probe ??= this.#try({ record: 'resumed', time: now() });
    if (this.#probe !== undefined)
      await withDeadline(performance.now() + SLOW_MS, this.#probe).catch(() => undefined);
    return this.#trouble;
  }

  /** Closes the file, which was renamed, and opens a new one with the old name. */
  reopen(): void {
    this.#file.reopen();
    this.#appendSoon({ record: 'reopened', time: now() });
  }

  /** Writes the waiting records, and closes the file. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  async #try(record: object): Promise<void> {
    await this.#append(record).then(
      () => {
        for (const unwritten of this.#unwritten.splice(0)) this.#appendOrKeep(unwritten);
      },
      () => undefined,
    );
    this.#probe = undefined;
  }

  /** Appends a record of outcomes. If that fails, the record waits for the next successful write. */
  #appendOrKeep(record: object): void {
    this.#append(record, { hasTime: true }).then(
      () => {
        for (const unwritten of this.#unwritten.splice(0)) this.#appendOrKeep(unwritten);
      },
      () => {
        if (this.#unwritten.length < MAX_UNWRITTEN) this.#unwritten.push(record);
      },
    );
  }

  #appendSoon(record: object): void {
    this.#append(record, { hasTime: true }).catch(() => undefined);
  }

  async #append(record: object, { hasTime = false } = {}): Promise<void> {
    const slow = setTimeout(() => {
      this.#fail(new Error(`The disk wrote nothing within ${SLOW_MS} ms.`));
    }, SLOW_MS).unref();
    try {
      const line = lineOf(record);
      await this.#file.append(line, { hasTime });
      if ('sessions' in record) this.#onWritten?.(line, Date.parse((record as AuditRecord).time));
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

/** Returns the system's error code, such as ENOSPC, in place of its message, which has the path. */
function reasonOf(error: unknown): string {
  if (!isNativeError(error)) return 'unknown';
  return 'code' in error ? String(error.code) : error.message;
}
