import { asServiceError, type ServiceError } from '../errors.ts';
import type { TransactionReading } from './locks.ts';
import type { ControlConnection, KillResult, Node } from './node.ts';
import type { SessionSnapshot } from './session-snapshot.ts';
import type { Session } from './session.ts';
import { isExpected, type Audit, type Entry, type Outcome } from './termination.ts';
import type { Termination, TerminationRequest } from './termination.ts';
import { readTransactions } from './transactions.ts';

interface IdOutcome {
  outcome: Outcome | undefined;
  session: Session | undefined;
}

/** The outcome of each id of a request (promise 3), and the audit record of the request (promise 6). */
export class BatchOutcomes {
  readonly #request: TerminationRequest;
  readonly #node: Node;
  readonly #audit: Audit;
  readonly #outcomes: ReadonlyMap<bigint, IdOutcome>;
  /** The ids of the intent that went to the audit. */
  #recorded: readonly bigint[] = [];
  /** The transactions that a dry run read. */
  #transactions: TransactionReading | undefined;
  /** The first error that kept a session from being killed. */
  #trouble: ServiceError | undefined;

  constructor(
    request: TerminationRequest,
    { node, audit }: { readonly node: Node; readonly audit: Audit },
  ) {
    [this.#request, this.#node, this.#audit] = [request, node, audit];
    this.#outcomes = new Map(
      request.ids.map((id) => [id, { outcome: undefined, session: undefined }]),
    );
  }

  /**
   * Finds the session of each id in the first list. An id without the session that the caller expects is not found.
   * Returns the sessions to kill, in the order of the request.
   */
  choose(snapshot: SessionSnapshot): Session[] {
    const expectations = new Map(this.#request.expected.map((expected) => [expected.id, expected]));
    const chosen: Session[] = [];
    for (const [id, known] of this.#outcomes) {
      const session = snapshot.get(id);
      known.session = session;
      if (session === undefined || !isExpected(session, expectations.get(id) ?? { id })) {
        known.outcome = 'not_found';
      } else {
        chosen.push(session);
      }
    }
    return chosen;
  }

  /** Drops chosen sessions that run no statement to end: they are not found. Returns the others. */
  keepOnly(kept: readonly Session[], chosen: readonly Session[]): readonly Session[] {
    const ids = new Set(kept.map(({ id }) => id));
    for (const { id } of chosen) if (!ids.has(id)) this.conclude(id, 'not_found');
    return kept;
  }

  /** Concludes a dry run: a session fails if the node is known to refuse its KILL. Reads the transactions if the request wants them. Throws `node_unavailable`. */
  async predict(sessions: readonly Session[], connection: ControlConnection): Promise<void> {
    if (sessions.length === 0) return;
    const { deadline, scope } = this.#request;
    const areStatements = scope === 'statement';
    const refusals = await connection.predictRefusals(sessions, deadline, areStatements);
    if (this.#request.areTransactionsWanted === true)
      this.#transactions = await readTransactions(connection, deadline);
    for (const { id } of sessions) {
      const trouble = refusals.get(id);
      this.note(trouble);
      this.conclude(id, trouble === undefined ? 'killed' : 'failed');
    }
  }

  /** Promise 6: returns the sessions only once the audit has them on record. Throws `audit_unavailable`. */
  async putOnRecord(sessions: readonly Session[]): Promise<readonly Session[]> {
    if (sessions.length === 0) return sessions;
    const { origin, deadline, scope } = this.#request;
    this.#recorded = sessions.map(({ id }) => id);
    try {
      await this.#audit.intend({ origin, node: this.#node, sessions, scope }, deadline);
      return sessions;
    } catch (error) {
      // The intent can still reach the disk, so its outcome follows.
      for (const { id } of sessions) this.conclude(id, 'failed');
      this.#concludeRecord();
      throw error;
    }
  }

  /** Keeps the first error, for the answer. */
  note(error: unknown): void {
    if (error === undefined) return;
    this.#trouble ??= asServiceError(error);
  }

  /** Reports the result of a KILL to the log of the request. */
  log(session: Session, { outcome, trouble }: KillResult): void {
    this.#request.record({ outcome, trouble, node: this.#node, session });
  }

  /** Sets the outcome of an id that has none, and returns the session of the id. Returns undefined if the id had an outcome. */
  conclude(id: bigint, outcome: Outcome): Session | undefined {
    const known = this.#outcomes.get(id);
    if (known === undefined || known.outcome !== undefined) return undefined;
    known.outcome = outcome;
    return known.session;
  }

  /** Concludes a session whose KILL was not sent. The reason is the first error. */
  concludeUnsent(session: Session): void {
    this.conclude(session.id, 'failed');
    this.log(session, { outcome: 'not_sent', trouble: this.#trouble });
  }

  /** Puts the outcomes on the audit record, and returns them. Calls `exitOf` for each id that was killed. */
  finish(
    mayHaveSent: boolean,
    exitOf: (id: bigint) => Pick<Entry, 'fate' | 'rollback'> | undefined,
  ): Termination {
    this.#concludeRecord();
    const entries = [...this.#outcomes].map(([id, { outcome = 'unknown', session }]) => ({
      id,
      outcome,
      session,
      fate: undefined,
      ...(outcome === 'killed' && exitOf(id)),
      transaction: outcome === 'not_found' ? undefined : this.#transactionOf(id),
    }));
    const source = this.#transactions?.source ?? 'available';
    return {
      ...{ entries, isDryRun: this.#request.isDryRun, mayHaveSent, trouble: this.#trouble },
      missingTransactions: source === 'available' ? undefined : source,
    };
  }

  #transactionOf(id: bigint): Entry['transaction'] {
    if (this.#transactions?.source !== 'available') return undefined;
    return this.#transactions.bySession.get(id) ?? null;
  }

  #concludeRecord(): void {
    if (this.#recorded.length === 0) return;
    const outcomes = this.#recorded.map((id) => ({
      id,
      outcome: this.#outcomes.get(id)?.outcome ?? 'unknown',
    }));
    const { origin, scope } = this.#request;
    this.#audit.conclude({ origin, node: this.#node, outcomes, scope });
  }
}
