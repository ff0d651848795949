import { setTimeout as pause } from 'node:timers/promises';
import type { BatchOutcomes } from './batch-outcomes.ts';
import type { Deadline } from './deadline.ts';
import type { LockTransaction } from './locks.ts';
import type { SessionSnapshot } from './session-snapshot.ts';
import { isSameEndpoint, type Session } from './session.ts';
import type { Entry, ExitState, Rollback, TerminationRequest } from './termination.ts';

const FIRST_POLL_MS = 20;
const LAST_POLL_MS = 500;
/** InnoDB's list of transactions can be this old, in milliseconds: the server does not renew it sooner. */
const STALE_MS = 150;
/** A session can sleep through a KILL (sources of both servers). After this time in milliseconds a second KILL wakes it. */
const WAKE_AFTER_MS = 1000;

interface Exit {
  readonly session: Session;
  readonly killedAt: number;
  state: ExitState;
  isWoken: boolean;
  /** The first look at its rollback. */
  firstSample?: RollbackSample;
  rollback?: Rollback | undefined;
}

/** The number of rows that a rollback had left at a time in milliseconds. */
interface RollbackSample {
  readonly rows: bigint;
  readonly at: number;
}

/** Watches the sessions that one request killed until they have left. */
export class ExitWatcher {
  readonly #exits = new Map<bigint, Exit>();
  readonly #now: () => number;
  readonly #outcomes: Pick<BatchOutcomes, 'log'>;
  #isWatched = false;

  /** Reports second KILLs to `outcomes`, for the log. */
  constructor(now: () => number, outcomes: Pick<BatchOutcomes, 'log'>) {
    this.#now = now;
    this.#outcomes = outcomes;
  }

  /** Adds a session that was killed. */
  expect(session: Session): void {
    const killedAt = this.#now();
    this.#exits.set(session.id, { session, killedAt, state: 'leaving', isWoken: false });
  }

  /** Returns the last state of a killed session; undefined before the first check. */
  exitOf(id: bigint): Pick<Entry, 'fate' | 'rollback'> | undefined {
    const exit = this.#isWatched ? this.#exits.get(id) : undefined;
    return exit && { fate: exit.state, rollback: exit.rollback };
  }

  /**
   * Checks the sessions once, then repeatedly until all have left or the wait of the request ends. If the service stops, the next check is the
   * last. Never throws: if the connection breaks, the last states stay.
   */
  async watch(
    snapshot: SessionSnapshot,
    { waitMs = 0, deadline }: Pick<TerminationRequest, 'waitMs' | 'deadline'>,
    stopping: AbortSignal,
  ): Promise<void> {
    this.#isWatched = true;
    const { hidesRollbacks } = snapshot.connection;
    const latest = deadline + waitMs;
    const end = Math.min(this.#now() + waitMs, latest);
    const shortest = hidesRollbacks ? STALE_MS : FIRST_POLL_MS;
    try {
      if (hidesRollbacks) {
        if (this.#now() + STALE_MS > latest) return;
        await pause(STALE_MS);
      }
      for (let pollMs = shortest; ; pollMs = Math.min(pollMs * 2, LAST_POLL_MS)) {
        const isLast = stopping.aborted;
        await this.#check(snapshot, latest);
        const left = end - this.#now();
        if (left <= 0 || isLast || this.#allGone()) return;
        await pauseUnless(stopping, Math.min(pollMs, left));
      }
    } catch {
      // The connection broke.
    }
  }

  #allGone(): boolean {
    return [...this.#exits.values()].every(({ state }) => state === 'gone');
  }

  async #check(snapshot: SessionSnapshot, deadline: Deadline): Promise<void> {
    const { connection } = snapshot;
    await snapshot.readAgain(deadline);
    const { bySession, source } = await connection.transactions(deadline);
    // TiDB keeps uncommitted changes in memory, so there is nothing to roll back.
    const isUnknown = source !== 'available' && !connection.listsTheDying;
    const rows = new Map(snapshot.list.rows.map((row) => [row.id, row]));
    for (const [id, exit] of this.#exits) {
      const row = rows.get(id.toString());
      const isListed = row !== undefined && isSameEndpoint(row.host ?? '', exit.session.host);
      const isDying = row?.command?.toLowerCase() === 'killed';
      const transaction = bySession.get(id);
      const isRollingBack = transaction?.state === 'ROLLING BACK';
      exit.rollback = isRollingBack ? this.#sample(exit, transaction) : undefined;
      if (isRollingBack || (isListed && /rollback/i.test(row.state ?? ''))) {
        exit.state = 'rolling_back';
      } else if (isListed || isUnknown || transaction !== undefined) {
        exit.state = 'leaving';
      } else {
        exit.state = 'gone';
      }
      const isAsleep = isListed && !isDying && this.#now() - exit.killedAt >= WAKE_AFTER_MS;
      if (isAsleep && !exit.isWoken && !connection.listsTheDying) {
        exit.isWoken = true;
        this.#outcomes.log(exit.session, await snapshot.kill(exit.session, deadline));
      }
    }
  }

  #sample(exit: Exit, { rowsModified: rows }: LockTransaction): Rollback {
    const sample = { rows, at: this.#now() };
    exit.firstSample ??= sample;
    return rollbackAfter(exit.firstSample, sample);
  }
}

/** Returns the rest of a rollback. Its mean speed since the first sample gives the estimate. */
function rollbackAfter(first: RollbackSample, last: RollbackSample): Rollback {
  const undone = Number(first.rows - last.rows);
  const isFalling = undone > 0 && last.at > first.at;
  const seconds = (Number(last.rows) * (last.at - first.at)) / undone / 1000;
  return {
    rowsLeft: last.rows,
    secondsLeft: isFalling ? BigInt(Math.ceil(seconds)) : undefined,
  };
}

/** Resolves after a time in milliseconds, or at once when the service stops. */
export async function pauseUnless(stopping: AbortSignal, milliseconds: number): Promise<void> {
  await pause(milliseconds, undefined, { signal: stopping }).catch(() => undefined);
}
