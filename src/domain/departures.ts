import { setTimeout as pause } from 'node:timers/promises';
import type { SessionSnapshot } from './session-snapshot.ts';
import type { Deadline } from './deadline.ts';
import type { ControlConnection, KillResult } from './node.ts';
import { isSameEndpoint, type Session } from './session.ts';
import type { Fate, TerminationRequest } from './termination.ts';

const FIRST_POLL_MS = 20;
const LAST_POLL_MS = 500;
/** InnoDB's list of transactions can be that old, and is not renewed for who reads it more often. */
const STALE_MS = 150;
/** Both servers' sources admit that a session can sleep through a KILL; a second one wakes it. */
const WAKE_AFTER_MS = 1000;

interface Departure {
  readonly session: Session;
  readonly killedAt: number;
  fate: Fate;
  isWoken: boolean;
}

/** The sessions that were killed in one request, until they have left. */
export class Departures {
  readonly #departures = new Map<bigint, Departure>();
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
    this.#departures.set(session.id, { session, killedAt, fate: 'leaving', isWoken: false });
  }

  /** What was last seen of a killed session; undefined when nobody looked. */
  fateOf(id: bigint): Fate | undefined {
    return this.#isWatched ? this.#departures.get(id)?.fate : undefined;
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
    return [...this.#departures.values()].every(({ fate }) => fate === 'gone');
  }

  async #look(
    connection: ControlConnection,
    sessions: SessionSnapshot,
    deadline: Deadline,
  ): Promise<void> {
    await sessions.readAgain(deadline);
    const transactions = await connection.transactions(deadline);
    const rows = new Map(sessions.list.rows.map((row) => [row.id, row]));
    for (const [id, departure] of this.#departures) {
      const row = rows.get(id.toString());
      const isListed = row !== undefined && isSameEndpoint(row.host ?? '', departure.session.host);
      const isDying = row?.command?.toLowerCase() === 'killed';
      const transaction = transactions?.get(id);
      if (transaction === 'rolling_back' || (isListed && /rollback/i.test(row.state ?? ''))) {
        departure.fate = 'rolling_back';
      } else if (isListed || transactions === undefined || transaction !== undefined) {
        departure.fate = 'leaving';
      } else {
        departure.fate = 'gone';
      }
      const isAsleep = isListed && !isDying && this.#now() - departure.killedAt >= WAKE_AFTER_MS;
      if (isAsleep && !departure.isWoken && !connection.listsTheDying) {
        departure.isWoken = true;
        this.#record(departure.session, await sessions.end(departure.session, deadline));
      }
    }
  }
}

async function pauseUnless(stopping: AbortSignal, milliseconds: number): Promise<void> {
  await pause(milliseconds, undefined, { signal: stopping }).catch(() => undefined);
}
