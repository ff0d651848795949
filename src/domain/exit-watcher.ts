import { setTimeout as pause } from 'node:timers/promises';
import type { SessionSnapshot } from './session-snapshot.ts';
import type { Deadline } from './deadline.ts';
import type { ControlConnection, KillResult } from './node.ts';
import { isSameEndpoint, type Session } from './session.ts';
import type { ExitState, TerminationRequest } from './termination.ts';

const FIRST_POLL_MS = 20;
const LAST_POLL_MS = 500;
/** InnoDB's list of transactions can be that old, and is not renewed for who reads it more often. */
const STALE_MS = 150;
/** Both servers' sources admit that a session can sleep through a KILL; a second one wakes it. */
const WAKE_AFTER_MS = 1000;

interface Exit {
  readonly session: Session;
  readonly killedAt: number;
  state: ExitState;
  isWoken: boolean;
}

/** The sessions that were killed in one request, until they have left. */
export class ExitWatcher {
  readonly #exits = new Map<bigint, Exit>();
  readonly #now: () => number;
  readonly #record: (session: Session, result: KillResult) => void;
  #isWatched = false;

  /** `record` hears of a second KILL. */
  constructor(now: () => number, record: (session: Session, result: KillResult) => void) {
    this.#now = now;
    this.#record = record;
  }

  /** This session was killed. */
  expect(session: Session): void {
    const killedAt = this.#now();
    this.#exits.set(session.id, { session, killedAt, state: 'leaving', isWoken: false });
  }

  /** What was last seen of a killed session; undefined when nobody looked. */
  stateOf(id: bigint): ExitState | undefined {
    return this.#isWatched ? this.#exits.get(id)?.state : undefined;
  }

  /**
   * Looks once, and then until all have left or the request has waited long enough; when the service stops, once more at once.
   * What fails here changes nothing that was said before.
   */
  async watch(
    connection: ControlConnection,
    sessions: SessionSnapshot,
    { waitMs = 0, deadline }: Pick<TerminationRequest, 'waitMs' | 'deadline'>,
    stopping: AbortSignal,
  ): Promise<void> {
    this.#isWatched = true;
    const latest = deadline + waitMs;
    const end = Math.min(this.#now() + waitMs, latest);
    const shortest = connection.hidesRollbacks ? STALE_MS : FIRST_POLL_MS;
    try {
      if (connection.hidesRollbacks) {
        if (this.#now() + STALE_MS > latest) return;
        await pause(STALE_MS);
      }
      for (let pollMs = shortest; ; pollMs = Math.min(pollMs * 2, LAST_POLL_MS)) {
        const isLast = stopping.aborted;
        await this.#look(connection, sessions, latest);
        const left = end - this.#now();
        if (left <= 0 || isLast || this.#allGone()) return;
        await pauseUnless(stopping, Math.min(pollMs, left));
      }
    } catch {
      // The connection broke: the sessions stay what they were last seen as.
    }
  }

  #allGone(): boolean {
    return [...this.#exits.values()].every(({ state }) => state === 'gone');
  }

  async #look(
    connection: ControlConnection,
    sessions: SessionSnapshot,
    deadline: Deadline,
  ): Promise<void> {
    await sessions.readAgain(deadline);
    const transactions = await connection.transactions(deadline);
    const rows = new Map(sessions.list.rows.map((row) => [row.id, row]));
    for (const [id, exit] of this.#exits) {
      const row = rows.get(id.toString());
      const isListed = row !== undefined && isSameEndpoint(row.host ?? '', exit.session.host);
      const isDying = row?.command?.toLowerCase() === 'killed';
      const transaction = transactions?.get(id);
      if (transaction === 'rolling_back' || (isListed && /rollback/i.test(row.state ?? ''))) {
        exit.state = 'rolling_back';
      } else if (isListed || transactions === undefined || transaction !== undefined) {
        exit.state = 'leaving';
      } else {
        exit.state = 'gone';
      }
      const isAsleep = isListed && !isDying && this.#now() - exit.killedAt >= WAKE_AFTER_MS;
      if (isAsleep && !exit.isWoken && !connection.listsTheDying) {
        exit.isWoken = true;
        this.#record(exit.session, await sessions.end(exit.session, deadline));
      }
    }
  }
}

async function pauseUnless(stopping: AbortSignal, milliseconds: number): Promise<void> {
  await pause(milliseconds, undefined, { signal: stopping }).catch(() => undefined);
}
