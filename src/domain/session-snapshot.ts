import { asServiceError, ServiceError } from '../errors.ts';
import type { UserSessions } from './user-sessions.ts';
import type { Deadline } from './deadline.ts';
import type { ControlConnection, KillResult, Node, NodeKey } from './node.ts';
import type { OwnSessions, ProcessList } from './node.ts';
import { InternalThreadHistory } from './internal-thread-history.ts';
import { isSameSession, type ProcessListRow, type Session } from './session.ts';

/** Promise 1: a KILL is sent only for a session that a process list of at most this age shows, in milliseconds. */
export const MAX_LIST_AGE_MS = 2000;

/** The parts that a snapshot needs besides the connection. */
export interface SnapshotParts {
  readonly node: Node;
  readonly selector: SessionSelector;
  /** The clock, in milliseconds of `performance.now()`. */
  readonly now: () => number;
}

/** The user sessions of a node in the last process list that one connection read. Ends them over that connection alone. */
export class SessionSnapshot {
  readonly #connection: ControlConnection;
  readonly #parts: SnapshotParts;
  #list: ProcessList;
  #present: UserSessions;

  private constructor(connection: ControlConnection, parts: SnapshotParts, list: ProcessList) {
    this.#connection = connection;
    this.#parts = parts;
    this.#list = list;
    this.#present = parts.selector.select(parts.node, connection, list);
  }

  /** Reads the first list. With `wanted` it may show the sessions with these ids alone. Throws `node_unavailable`. */
  static async read(
    connection: ControlConnection,
    parts: SnapshotParts,
    deadline: Deadline,
    wanted?: readonly bigint[],
  ): Promise<SessionSnapshot> {
    return new SessionSnapshot(connection, parts, await connection.list(deadline, wanted));
  }

  /** The connection that reads the lists and sends the KILLs. */
  get connection(): ControlConnection {
    return this.#connection;
  }

  /** The last list, with its internal threads. */
  get list(): ProcessList {
    return this.#list;
  }

  /** Returns the user session that has this id in the last list. */
  get(id: bigint): Session | undefined {
    return this.#present.get(id);
  }

  /**
   * Sends KILL for sessions that the last list still shows, many before the first is answered. Calls `onResult` with the outcome of each.
   * Returns the sessions whose KILL was not sent: `kill` says why. Never throws.
   */
  async killAhead(
    sessions: readonly Session[],
    deadline: Deadline,
    onResult: (session: Session, result: KillResult) => void,
  ): Promise<readonly Session[]> {
    if (this.#isStale()) return sessions;
    const present = sessions.filter((session) => {
      const isPresent = this.#isPresent(session);
      if (!isPresent) onResult(session, { outcome: 'not_found' });
      return isPresent;
    });
    const sendBy = this.#list.askedAt + MAX_LIST_AGE_MS;
    return this.#connection.killAhead(present, { sendBy, deadline }, onResult);
  }

  /**
   * Sends KILL for a session if a list of at most 2 s still shows it, and returns the outcome. Reads the list again as often as it gets
   * too old before the KILL is sent; after the deadline, or over a broken connection, there is no list. Never throws.
   */
  async kill(session: Session, deadline: Deadline): Promise<KillResult> {
    for (let isFresh = !this.#isStale(); ; isFresh = false) {
      try {
        if (!isFresh) await this.#refresh(deadline);
      } catch (cause) {
        return { outcome: 'not_sent', trouble: asServiceError(cause) };
      }
      if (!this.#isPresent(session)) return { outcome: 'not_found' };
      const sendBy = this.#list.askedAt + MAX_LIST_AGE_MS;
      const result = await this.#connection.kill(session, { sendBy, deadline });
      // The list can get too old while the KILL waits behind statements of other requests.
      if (result.outcome !== 'not_sent') return result;
    }
  }

  async #refresh(deadline: Deadline): Promise<void> {
    await this.readAgain(deadline);
    if (!this.#isStale()) return;
    throw new ServiceError('node_unavailable', {
      'en-us': `The node took more than ${MAX_LIST_AGE_MS} ms to give its process list, too long to kill by it.`,
      'zh-cn': `节点返回会话列表的时间超过${MAX_LIST_AGE_MS}毫秒，不能据此终止会话。`,
    });
  }

  /** Reads the whole list again. Throws `node_unavailable`. */
  async readAgain(deadline: Deadline): Promise<void> {
    const { node, selector } = this.#parts;
    this.#list = await this.#connection.list(deadline);
    this.#present = selector.select(node, this.#connection, this.#list);
  }

  // An id that belongs to another client by now was given anew: the session that was meant has left.
  #isPresent(session: Session): boolean {
    const present = this.#present.get(session.id);
    return present !== undefined && isSameSession(present, session);
  }

  #isStale(): boolean {
    return this.#parts.now() - this.#list.askedAt > MAX_LIST_AGE_MS;
  }
}

/** The rules by which sessions count as internal on every node, from the configuration. */
export interface SessionRules {
  readonly internalUsers: readonly string[];
  readonly requireClientPort: boolean;
}

/** Selects the user sessions of process lists, by the rules and by what earlier lists of the node proved. */
export class SessionSelector {
  readonly #rules: SessionRules;
  readonly #onSharedAccount: (node: NodeKey) => void;
  readonly #history = new InternalThreadHistory();
  /** The last selection. Requests that share a list ask for it one after the other. */
  #last: UserSessions | undefined;

  /** Calls `onSharedAccount` for each list that shows sessions of the control account which are not ours. */
  constructor(rules: SessionRules, onSharedAccount: (node: NodeKey) => void) {
    this.#rules = rules;
    this.#onSharedAccount = onSharedAccount;
  }

  /** Returns the user sessions of a list that this connection read. Promise 2: a row that is not provably a client's is none. */
  select(node: Node, connection: ControlConnection, list: ProcessList): UserSessions {
    const ours = connection.ours();
    const selected = this.#history.select(node.nodeId, connection, list, {
      ownIds: new Set([...ours.ids, connection.id]),
      controlAccount: node.user,
      internalUsers: [...this.#rules.internalUsers, ...node.internalUsers],
      requireClientPort: this.#rules.requireClientPort,
    });
    if (this.#last !== selected) {
      this.#last = selected;
      // No session of the control account is a user session.
      if (selected.others.some(isStranger(node, ours))) this.#onSharedAccount(node);
    }
    return selected;
  }
}

/** Returns a function that is true for rows of the control account which are not ours. */
function isStranger({ user: account }: Node, ours: OwnSessions): (row: ProcessListRow) => boolean {
  const control = account.toLowerCase();
  const known = new Set([...ours.ids].map((id) => id.toString()));
  return ({ id, user }) => ours.areAll && user?.toLowerCase() === control && !known.has(id ?? '');
}
