import { asServiceError, ServiceError } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import type { ControlConnection, KillResult, ProcessList } from './node.ts';
import { isSameSession, type Session } from './session.ts';
import type { UserSessions } from './client-filter.ts';

/** Promise 1: a KILL goes out only for what a process list of at most this age shows. */
export const MAX_LIST_AGE_MS = 2000;

/** Picks the user sessions out of a process list, by id. */
export type SelectSessions = (list: ProcessList) => Pick<UserSessions, 'get'>;

/** The user sessions of a node over one control connection, from a list that is read again before it is too old to kill by. */
export class SessionSnapshot {
  readonly #connection: ControlConnection;
  readonly #select: SelectSessions;
  readonly #now: () => number;
  #list: ProcessList;
  #present: Pick<UserSessions, 'get'>;

  private constructor(
    connection: ControlConnection,
    select: SelectSessions,
    now: () => number,
    list: ProcessList,
  ) {
    this.#connection = connection;
    this.#select = select;
    this.#now = now;
    this.#list = list;
    this.#present = select(list);
  }

  /** Reads the first list: it shows at least the sessions with these ids. Throws `node_unavailable`. */
  static async read(
    connection: ControlConnection,
    select: SelectSessions,
    now: () => number,
    deadline: Deadline,
    wanted?: readonly bigint[],
  ): Promise<SessionSnapshot> {
    return new SessionSnapshot(connection, select, now, await connection.list(deadline, wanted));
  }

  /** All threads of the last list. */
  get list(): ProcessList {
    return this.#list;
  }

  /** The user session that has this id in the last list. */
  get(id: bigint): Session | undefined {
    return this.#present.get(id);
  }

  /** Reads the list anew. Throws `node_unavailable`. */
  async readAgain(deadline: Deadline): Promise<void> {
    this.#list = await this.#connection.list(deadline);
    this.#present = this.#select(this.#list);
  }

  /** Ends a session if it is still the one that was meant. Never throws: what was killed before must be told whatever happens here. */
  async end(session: Session, deadline: Deadline): Promise<KillResult> {
    for (let isFresh = !this.#isStale(); ; isFresh = false) {
      try {
        if (!isFresh) await this.#refresh(deadline);
      } catch (cause) {
        return { outcome: 'not_sent', trouble: asServiceError(cause) };
      }
      if (!this.#isPresent(session)) return { outcome: 'not_found' };
      const sendBy = this.#list.askedAt + MAX_LIST_AGE_MS;
      const result = await this.#connection.kill(session, { sendBy, deadline });
      // The list can have grown too old while the KILL waited behind others' statements; a connection that broke gives no other one.
      if (result.outcome !== 'not_sent') return result;
    }
  }

  /**
   * Ends sessions that still are the ones that were meant, many under way at once; `told` hears what came of each. Resolves with those
   * that were surely not sent: to be tried one by one, which says why. Never throws.
   */
  async endAhead(
    sessions: readonly Session[],
    deadline: Deadline,
    told: (session: Session, result: KillResult) => void,
  ): Promise<readonly Session[]> {
    if (this.#isStale()) return sessions;
    const present = sessions.filter((session) => {
      const isPresent = this.#isPresent(session);
      if (!isPresent) told(session, { outcome: 'not_found' });
      return isPresent;
    });
    const sendBy = this.#list.askedAt + MAX_LIST_AGE_MS;
    return this.#connection.killAhead(present, { sendBy, deadline }, told);
  }

  // An id that now stands for another client was given anew: the session that was meant has gone.
  #isPresent(session: Session): boolean {
    const present = this.#present.get(session.id);
    return present !== undefined && isSameSession(present, session);
  }

  async #refresh(deadline: Deadline): Promise<void> {
    await this.readAgain(deadline);
    if (!this.#isStale()) return;
    throw new ServiceError('node_unavailable', {
      'en-us': `The node took more than ${MAX_LIST_AGE_MS} ms to give its process list, too long to kill by it.`,
      'zh-cn': `节点返回会话列表的时间超过${MAX_LIST_AGE_MS}毫秒，不能据此终止会话。`,
    });
  }

  #isStale(): boolean {
    return this.#now() - this.#list.askedAt > MAX_LIST_AGE_MS;
  }
}
