import { asServiceError, ServiceError } from '../errors.ts';
import type { UserSessions } from './user-sessions.ts';
import type { Deadline } from './deadline.ts';
import type { ControlConnection, KillLimits, KillResult, Node, NodeKey } from './node.ts';
import type { OwnSessions, ProcessList } from './node.ts';
import { InternalThreadHistory } from './internal-thread-history.ts';
import { isSameSession, type ProcessListRow, type Session } from './session.ts';

/** Promise 1: a KILL needs a process list that shows its session and is at most this old, in milliseconds. */
export const MAX_LIST_AGE_MS = 2000;

/** The parts that a snapshot needs besides the connection. */
export interface SnapshotParts {
  readonly node: Node;
  readonly selector: SessionSelector;
  /** The clock, in milliseconds of `performance.now()`. */
  readonly now: () => number;
  /** Returns the sender of KILLs for statements. If undefined, the connection sends KILLs for sessions. */
  readonly senderOver?: ((connection: ControlConnection) => KillSender) | undefined;
}

/** Sends the KILLs of one request. Its methods keep the contract of `ControlConnection`. */
export type KillSender = {
  kill(session: Session, limits: KillLimits): Promise<KillResult>;
} & Pick<ControlConnection, 'killAhead'>;

/** The user sessions in the last process list that one connection read. Sends KILLs over that connection alone. */
export class SessionSnapshot {
  readonly #connection: ControlConnection;
  readonly #sender: KillSender;
  readonly #parts: SnapshotParts;
  #list: ProcessList;
  #present: UserSessions;

  private constructor(connection: ControlConnection, parts: SnapshotParts, list: ProcessList) {
    this.#connection = connection;
    this.#sender = parts.senderOver?.(connection) ?? connection;
    this.#parts = parts;
    this.#list = list;
    this.#present = parts.selector.select(parts.node, connection, list);
  }

  /** Reads the first list. With `wanted`, the list can show the sessions with these ids alone. Throws `node_unavailable`. */
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

  /** Returns the user session that has this id in the last list, or undefined if there is none. */
  get(id: bigint): Session | undefined {
    return this.#present.get(id);
  }

  /**
   * Sends KILL for sessions that the last list still shows, many before the first answer. Calls `onResult` with each outcome. Returns the
   * sessions whose KILL was not sent; `kill` returns the reason. Never throws.
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
    return this.#sender.killAhead(present, { sendBy, deadline }, onResult);
  }

  /**
   * Sends KILL for a session if a list that is at most 2 s old still shows the session, and returns the outcome. Reads the list again
   * whenever the list is too old. Returns `not_sent` if no list can be read, such as after the deadline or over a broken connection. Never
   * throws.
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
      const result = await this.#sender.kill(session, { sendBy, deadline });
      // The list can get too old while the KILL waits behind statements of other requests.
      if (result.outcome !== 'not_sent') return result;
    }
  }

  async #refresh(deadline: Deadline): Promise<void> {
    await this.readAgain(deadline);
    if (!this.#isStale()) return;
    throw new ServiceError('node_unavailable', {
      'en-us': `The node took more than ${MAX_LIST_AGE_MS} ms to return its process list, and a KILL needs a newer list. Retry when the node is less busy.`,
      'zh-cn': `节点返回会话列表的时间超过${MAX_LIST_AGE_MS}毫秒，不能据此终止会话。请在节点负载降低后重试。`,
    });
  }

  /** Reads the whole list again. Throws `node_unavailable`. */
  async readAgain(deadline: Deadline): Promise<void> {
    const { node, selector } = this.#parts;
    this.#list = await this.#connection.list(deadline);
    this.#present = selector.select(node, this.#connection, this.#list);
  }

  // The node reuses ids: if another client has the id now, the requested session has left.
  #isPresent(session: Session): boolean {
    const present = this.#present.get(session.id);
    return present !== undefined && isSameSession(present, session);
  }

  #isStale(): boolean {
    return this.#parts.now() - this.#list.askedAt > MAX_LIST_AGE_MS;
  }
}

/** The configured rules that decide on every node which sessions are internal. */
export interface SessionRules {
  readonly internalUsers: readonly string[];
  readonly requireClientPort: boolean;
}

/** Selects the user sessions of process lists, by the configured rules and by the earlier lists of the node. */
export class SessionSelector {
  readonly #rules: SessionRules;
  readonly #onSharedAccount: (node: NodeKey) => void;
  readonly #history = new InternalThreadHistory();
  /** The last selection. Requests that share a list get the same selection, and `onSharedAccount` is called once for it. */
  #last: UserSessions | undefined;

  /** Calls `onSharedAccount` for each list that shows a session of the control account which is not ours. */
  constructor(rules: SessionRules, onSharedAccount: (node: NodeKey) => void) {
    this.#rules = rules;
    this.#onSharedAccount = onSharedAccount;
  }

  /** Returns the user sessions of a list that this connection read. Promise 2: a row that is not provably a client's is no session. */
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
      // Sessions of the control account are never user sessions, so `others` has them all.
      if (selected.others.some(isStranger(node, ours))) this.#onSharedAccount(node);
    }
    return selected;
  }
}

/** Returns a function that is true for a row of the control account which is not ours. */
function isStranger({ user: account }: Node, ours: OwnSessions): (row: ProcessListRow) => boolean {
  const control = account.toLowerCase();
  const known = new Set([...ours.ids].map((id) => id.toString()));
  return ({ id, user }) => ours.areAll && user?.toLowerCase() === control && !known.has(id ?? '');
}
