import type { SessionSnapshot } from './session-snapshot.ts';
import type { Session } from './session.ts';
import { isExpected, type Entry, type Outcome, type TerminationRequest } from './termination.ts';

interface IdOutcome {
  outcome: Outcome | undefined;
  session: Session | undefined;
}

/** What is known of each id of a request: its session, and what became of it. */
export class BatchOutcomes {
  readonly #outcomes: ReadonlyMap<bigint, IdOutcome>;

  constructor(ids: readonly bigint[]) {
    this.#outcomes = new Map(ids.map((id) => [id, { outcome: undefined, session: undefined }]));
  }

  /**
   * Finds the session of each id, or none, from the first list: whom the caller can have meant.
   * Returns the sessions to kill, in the order of the request.
   */
  choose(sessions: SessionSnapshot, { expected }: Pick<TerminationRequest, 'expected'>): Session[] {
    const expectations = new Map(expected.map((expectation) => [expectation.id, expectation]));
    const chosen: Session[] = [];
    for (const [id, known] of this.#outcomes) {
      const session = sessions.get(id);
      known.session = session;
      if (session === undefined || !isExpected(session, expectations.get(id) ?? { id })) {
        known.outcome = 'not_found';
      } else {
        chosen.push(session);
      }
    }
    return chosen;
  }

  /** Notes what became of an id, unless that is known; returns its session if this is news. */
  conclude(id: bigint, outcome: Outcome): Session | undefined {
    const known = this.#outcomes.get(id);
    if (known === undefined || known.outcome !== undefined) return undefined;
    known.outcome = outcome;
    return known.session;
  }

  outcomeOf(id: bigint): Outcome {
    return this.#outcomes.get(id)?.outcome ?? 'unknown';
  }

  /** An entry for each id, in the order of the request. */
  entries(stateOf: (id: bigint) => Entry['fate']): Entry[] {
    return [...this.#outcomes].map(([id, { outcome = 'unknown', session }]) => ({
      id,
      outcome,
      session,
      fate: outcome === 'killed' ? stateOf(id) : undefined,
    }));
  }
}
