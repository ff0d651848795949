import type { UserSessions } from './client-filter.ts';
import { InternalThreadHistory } from './internal-thread-history.ts';
import type { ControlConnection, Node, NodeKey, OwnSessions, ProcessList } from './node.ts';
import type { ProcessListRow } from './session.ts';

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
