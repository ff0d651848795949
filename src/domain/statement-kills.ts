import { setTimeout as pause } from 'node:timers/promises';
import { asServiceError, ServiceError, type Sentence } from '../errors.ts';
import { pauseUnless, type ExitWatcher } from './exit-watcher.ts';
import type { ControlConnection, KillLimits, KillResult } from './node.ts';
import type { KillSender, SessionSnapshot } from './session-snapshot.ts';
import type { Session } from './session.ts';
import { beginsWith, compareStatements } from './statement.ts';
import type { SeenStatement, StatementLook } from './statement.ts';
import type { Outcome, Termination, TerminationRequest } from './termination.ts';

/** A KILL follows a look of at most this age, in milliseconds. */
const MAX_LOOK_AGE_MS = 200;
/** A look without ids is reused for at most this time, in milliseconds: its KILL would also end a statement that began since. */
const MAX_TEXT_AGE_MS = 5;
/** At most three KILLs are sent within these looks. If all miss, the session probably runs a routine. */
const MAX_LOOKS = 6;
/** A marked statement ends at its next check, usually within this time in milliseconds. */
const RESOLVE_MS = 1000;
const POLL_MS = 50;
/** InnoDB's list of transactions can be this old, in milliseconds. */
const STALE_MS = 150;

interface Target extends SeenStatement {
  readonly session: Session;
}

/** The statements that one request ends. Each is chosen in the first look, and no other statement of its session is ended. */
export class StatementKills implements Pick<ExitWatcher, 'expect' | 'exitOf' | 'watch'> {
  readonly #request: TerminationRequest;
  readonly #now: () => number;
  readonly #targets = new Map<bigint, Target>();
  readonly #idle = new Set<bigint>();
  /** The sessions whose statement was killed, until a look shows that it has ended. */
  readonly #ending = new Set<bigint>();
  #last: { readonly connection: ControlConnection; readonly look: StatementLook } | undefined;
  /** The sessions that have a transaction; undefined if the node does not show them. */
  #inTransaction: ReadonlySet<bigint> | undefined;

  constructor(request: TerminationRequest, now: () => number) {
    [this.#request, this.#now] = [request, now];
  }

  /** Returns the sessions that run a statement which the caller expects. Throws `node_unavailable`. */
  async choose(sessions: readonly Session[], connection: ControlConnection): Promise<Session[]> {
    if (sessions.length === 0) return [];
    const look = await connection.statements(sessions, this.#request.deadline);
    const expected = new Map(this.#request.expected.map(({ id, info }) => [id, info]));
    const chosen: Session[] = [];
    for (const session of sessions) {
      const statement = look.running.get(session.id);
      if (statement === 'idle') this.#idle.add(session.id);
      else if (statement && beginsWith(statement, expected.get(session.id) ?? '')) {
        this.#targets.set(session.id, { session, statement, askedAt: look.askedAt });
        chosen.push({ ...session, info: statement.info });
      }
    }
    return chosen;
  }

  /** Returns the sender that ends statements, over this connection, in place of sessions. */
  senderOver(connection: ControlConnection): KillSender {
    return {
      kill: (session, limits) => this.#kill(connection, session, limits),
      // Sends no KILL ahead: a look must come before each.
      killAhead: (sessions) => Promise.resolve(sessions),
    };
  }

  async #kill(
    connection: ControlConnection,
    session: Session,
    limits: KillLimits,
  ): Promise<KillResult> {
    const target = this.#targets.get(session.id);
    if (target === undefined) return { outcome: 'not_found' };
    let seen: SeenStatement = target;
    try {
      for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
        const look = await this.#look(connection, target, looks > 0);
        const found = look.running.get(session.id);
        if (found === 'idle') this.#idle.add(session.id);
        if (found === undefined || found === 'idle') return { outcome: 'not_found' };
        const relation = compareStatements(seen, found, look.answeredAt);
        if (relation === 'other') return { outcome: 'not_found' };
        // A second look must show the same statement before a KILL.
        if (relation === 'routine') seen = { statement: found, askedAt: target.askedAt };
        if (relation !== 'same') continue;
        const sendBy = Math.min(limits.sendBy, look.answeredAt + MAX_LOOK_AGE_MS);
        const result = await connection.kill(session, { ...limits, sendBy }, found);
        // The next look shows whether the session runs a routine.
        if (result.outcome !== 'not_found') return result;
      }
    } catch (cause) {
      return { outcome: 'not_sent', trouble: asServiceError(cause) };
    }
    return { outcome: 'refused', trouble: new ServiceError('node_unavailable', CHANGED) };
  }

  /**
   * Returns a new look, or the last one while it is young and `isMissed` is false. `choose` keeps no last look. Where the node shows ids
   * that KILL does not take, each KILL has a look of its own: such a node finds one session quickly.
   */
  async #look(
    connection: ControlConnection,
    { session, statement: { id, isKilledById } }: Target,
    isMissed: boolean,
  ): Promise<StatementLook> {
    const isShared = id === undefined || isKilledById;
    const last = this.#last?.connection === connection ? this.#last.look : undefined;
    const maxAgeMs = isKilledById ? MAX_LOOK_AGE_MS : MAX_TEXT_AGE_MS;
    const isYoung = last !== undefined && this.#now() - last.answeredAt <= maxAgeMs;
    if (isShared && isYoung && !isMissed) return last;
    const sessions = isShared ? [...this.#targets.values()].map((each) => each.session) : [session];
    const look = await connection.statements(sessions, this.#request.deadline);
    if (isShared) this.#last = { connection, look };
    return look;
  }

  /** Returns the outcome of a KILL without an answer, whose connection has ended, from looks at its statement. Never throws. */
  async resolve({ id }: Session, connection: ControlConnection): Promise<Outcome> {
    const target = this.#targets.get(id);
    if (target === undefined) return 'unknown';
    const { deadline } = this.#request;
    const end = Math.min(this.#now() + RESOLVE_MS, deadline);
    try {
      for (;;) {
        const { running, answeredAt } = await connection.statements([target.session], deadline);
        const found = running.get(id);
        if (found === undefined || found === 'idle' || found.isEnding) return 'killed';
        const relation = compareStatements(target, found, answeredAt);
        if (relation === 'other') return 'killed';
        if (this.#now() >= end) return relation === 'unclear' ? 'unknown' : 'failed';
        await pause(POLL_MS);
      }
    } catch {
      return 'unknown';
    }
  }

  /** Adds a session whose statement was killed. */
  expect({ id }: Session): void {
    this.#ending.add(id);
  }

  /** Always undefined: a statement has no exit state. */
  exitOf(): undefined {
    return undefined;
  }

  /** Waits until the statements have ended or the wait is over, then reads which sessions have a transaction. Never throws. */
  async watch(
    { connection }: SessionSnapshot,
    { waitMs = 0, deadline }: Pick<TerminationRequest, 'waitMs' | 'deadline'>,
    stopping: AbortSignal,
  ): Promise<void> {
    const latest = deadline + waitMs;
    const end = Math.min(this.#now() + waitMs, latest);
    try {
      while (this.#ending.size > 0 && this.#now() < end && !stopping.aborted) {
        const targets = [...this.#targets.values()].filter((each) =>
          this.#ending.has(each.session.id),
        );
        const sessions = targets.map(({ session }) => session);
        const { running, answeredAt } = await connection.statements(sessions, latest);
        for (const target of targets) {
          const found = running.get(target.session.id);
          const isOver = found === undefined || found === 'idle';
          const relation = isOver ? 'other' : compareStatements(target, found, answeredAt);
          if (relation === 'other' || relation === 'unclear') {
            this.#ending.delete(target.session.id);
          }
        }
        if (this.#ending.size > 0) await pauseUnless(stopping, POLL_MS);
      }
      if (this.#now() + STALE_MS > latest) return;
      await pause(STALE_MS);
      const { bySession, source } = await connection.transactions(latest);
      // TiDB shows no transactions.
      if (source !== 'available' || connection.listsTheDying) return;
      this.#inTransaction = new Set(bySession.keys());
    } catch {
      // The connection broke.
    }
  }

  /** Adds `isIdle` and `isInTransaction` to each entry of the result. */
  describe(termination: Termination): Termination {
    const entries = termination.entries.map((entry) => {
      const isIdle = entry.outcome === 'not_found' && this.#idle.has(entry.id);
      const isSeen = isIdle || entry.outcome !== 'not_found';
      const isInTransaction = isSeen ? this.#inTransaction?.has(entry.id) : undefined;
      return { ...entry, isIdle, isInTransaction };
    });
    return { ...termination, entries };
  }
}

const CHANGED: Sentence = {
  'en-us':
    'A session ran another statement when the KILL arrived, so that nothing was ended: it runs a routine; end the session. If it runs no routine, its statement has ended: look again.',
  'zh-cn':
    'KILL到达时会话正在执行另一条语句，因此未终止任何语句：会话正在执行存储例程，请终止该会话；如未执行存储例程，则原语句已结束，请重新查询。',
};
