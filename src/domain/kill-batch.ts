import { asServiceError, ServiceError, type Sentence } from '../errors.ts';
import type { Audit } from './audit.ts';
import { BatchOutcomes } from './batch-outcomes.ts';
import { SessionSnapshot, type SelectSessions } from './session-snapshot.ts';
import { isSameIncarnation } from './incarnation.ts';
import { limitReached } from './deadline.ts';
import type { ControlConnection, KillResult } from './node.ts';
import type { Node, Nodes, ProcessList } from './node.ts';
import { ExitWatcher } from './exit-watcher.ts';
import { resolveUnansweredKills, type UnansweredKill } from './unanswered-kills.ts';
import type { Session } from './session.ts';
import type { Outcome, Termination, TerminationRequest } from './termination.ts';

/** A connection that breaks is followed by another one, but not for ever: each may cost the time limit of a KILL. */
const MAX_CONNECTIONS = 4;
/** So few are killed one by one: a line that breaks then leaves a single one in doubt. */
const FEW = 8;

/** What a kill batch needs besides the request. */
export interface KillBatchParts {
  readonly node: Node;
  readonly nodes: Nodes;
  readonly audit: Audit;
  /** Picks the user sessions out of a list that this connection read. */
  readonly select: (connection: ControlConnection) => SelectSessions;
  readonly now: () => number;
  /** Aborted when the service is to stop: what has begun is finished, but waits no longer than it must. */
  readonly stopping: AbortSignal;
  /** Hears of the wait for sessions to leave, in milliseconds. */
  readonly onWaited: (milliseconds: number) => void;
}

/** One request that ends sessions, from the first process list to the answer; over several connections if they break. */
export class KillBatch {
  readonly #request: TerminationRequest;
  readonly #parts: KillBatchParts;
  readonly #outcomes: BatchOutcomes;
  /** To be killed, in the order of the request. A session leaves this list before its KILL is sent, and never comes back. */
  readonly #pending: Session[] = [];
  readonly #unanswered: UnansweredKill[] = [];
  readonly #exits: ExitWatcher;
  #first: Parameters<typeof isSameIncarnation>[0] | undefined;
  /** The ids that the audit has, with their sessions. */
  #recorded: readonly bigint[] = [];
  #mayHaveSent = false;
  /** A line that broke can break again: then the next ones go one by one, so that less is in doubt. */
  #hadUnanswered = false;
  #trouble: ServiceError | undefined;

  constructor(request: TerminationRequest, parts: KillBatchParts) {
    this.#request = request;
    this.#parts = parts;
    this.#outcomes = new BatchOutcomes(request.ids);
    this.#exits = new ExitWatcher(parts.now, this.#record.bind(this));
  }

  /** Throws only when nothing was sent: `node_unavailable`, `audit_unavailable`. */
  async run(): Promise<Termination> {
    for (
      let connections = 0;
      connections < MAX_CONNECTIONS && this.#isUnfinished();
      connections += 1
    ) {
      try {
        const { node, nodes } = this.#parts;
        await nodes.withConnection(node, this.#request.deadline, (connection) =>
          this.#work(connection),
        );
      } catch (cause) {
        // Before the first list was put on record nothing can have been sent.
        if (this.#first === undefined) throw cause;
        this.#note(asServiceError(cause));
        break;
      }
      if (this.#isLate()) break;
    }
    return this.#termination();
  }

  #isUnfinished(): boolean {
    return this.#first === undefined || this.#pending.length > 0 || this.#unanswered.length > 0;
  }

  #isLate(): boolean {
    return this.#parts.now() > this.#request.deadline;
  }

  async #work(connection: ControlConnection): Promise<void> {
    this.#requireIncarnation(connection);
    const { select, now, stopping, onWaited } = this.#parts;
    const { deadline } = this.#request;
    const usedAt = now();
    const wanted = this.#first === undefined ? this.#request.ids : undefined;
    const sessions = await SessionSnapshot.read(
      connection,
      select(connection),
      now,
      deadline,
      wanted,
    );
    if (this.#first === undefined) {
      const chosen = this.#outcomes.choose(sessions, this.#request);
      if (this.#request.isDryRun) await this.#predict(connection, chosen);
      else this.#pending.push(...chosen);
      await this.#putOnRecord();
      const { id, incarnation } = connection;
      this.#first = { id, incarnation, usedAt };
    }
    if (this.#request.isDryRun) return;
    if (!(await this.#kill(connection, sessions))) return;
    if (this.#unanswered.length > 0) await this.#resolveUnanswered(connection);
    if (this.#request.waitMs !== undefined) {
      const begun = now();
      await this.#exits.watch(connection, sessions, this.#request, stopping);
      onWaited(now() - begun);
    }
  }

  /** Concludes a dry run: a session fails if the node is known to refuse its KILL. Throws `node_unavailable`. */
  async #predict(connection: ControlConnection, sessions: readonly Session[]): Promise<void> {
    if (sessions.length === 0) return;
    const refusals = await connection.predictRefusals(sessions, this.#request.deadline);
    for (const { id } of sessions) {
      const trouble = refusals.get(id);
      this.#note(trouble);
      this.#conclude(id, trouble === undefined ? 'killed' : 'failed');
    }
  }

  #requireIncarnation(connection: ControlConnection): void {
    const isOlderThanRequest = connection.incarnation.begunBy <= this.#request.receivedAt;
    const isTheSame = this.#first === undefined || isSameIncarnation(this.#first, connection);
    if (!isOlderThanRequest || !isTheSame) throw new ServiceError('node_unavailable', RESTARTED);
  }

  /** Promise 6: before the first KILL. Throws `audit_unavailable`. */
  async #putOnRecord(): Promise<void> {
    const sessions = [...this.#pending];
    if (sessions.length === 0) return;
    const { audit, node } = this.#parts;
    const { origin, deadline } = this.#request;
    this.#recorded = sessions.map(({ id }) => id);
    try {
      await audit.intend({ origin, node, sessions }, deadline);
    } catch (error) {
      // The record can get to the disk all the same.
      for (const { id } of sessions) this.#conclude(id, 'failed');
      this.#concludeRecord();
      throw error;
    }
  }

  #concludeRecord(): void {
    if (this.#recorded.length === 0) return;
    const outcomes = this.#recorded.map((id) => ({
      id,
      outcome: this.#outcomes.outcomeOf(id),
    }));
    const { audit, node } = this.#parts;
    audit.conclude({ origin: this.#request.origin, node, outcomes });
  }

  /** Kills what is pending; false when the connection is of no more use. */
  async #kill(connection: ControlConnection, sessions: SessionSnapshot): Promise<boolean> {
    // Sessions that all came back with this list would all come back again.
    let handedBackWith: ProcessList | undefined;
    for (let session = this.#pending[0]; session !== undefined; session = this.#pending[0]) {
      if (this.#isLate()) {
        this.#note(limitReached());
        return false;
      }
      const isMany = this.#pending.length > FEW && !this.#hadUnanswered;
      if (isMany && sessions.list !== handedBackWith) {
        const before = this.#pending.length;
        await this.#killAhead(connection, sessions);
        if (this.#unanswered.length > 0) return false;
        if (this.#pending.length < before) continue;
        handedBackWith = sessions.list;
      }
      const result = await sessions.end(session, this.#request.deadline);
      if (result.outcome === 'not_sent') {
        this.#note(result.trouble);
        return false;
      }
      this.#mayHaveSent = true;
      this.#pending.shift();
      this.#take(session, result, connection, sessions);
      if (result.outcome === 'unknown') return false;
    }
    return true;
  }

  async #resolveUnanswered(connection: ControlConnection): Promise<void> {
    const { origin, deadline } = this.#request;
    const record = this.#record.bind(this);
    const parts = { ...this.#parts, record, origin, deadline };
    const kills = this.#unanswered.splice(0);
    for (const { id, outcome } of await resolveUnansweredKills(kills, connection, parts)) {
      this.#conclude(id, outcome);
    }
  }

  /** Sends many before it is known what came of the first. Those that were surely not sent are pending again. */
  async #killAhead(connection: ControlConnection, sessions: SessionSnapshot): Promise<void> {
    const many = this.#pending.splice(0);
    this.#mayHaveSent = true;
    const unsent = await sessions.endAhead(many, this.#request.deadline, (session, result) => {
      this.#take(session, result, connection, sessions);
    });
    this.#pending.push(...unsent);
  }

  #take(
    session: Session,
    { outcome, trouble }: KillResult,
    connection: ControlConnection,
    sessions: SessionSnapshot,
  ): void {
    if (outcome !== 'not_found') this.#record(session, { outcome, trouble });
    if (outcome === 'unknown' || outcome === 'refused') this.#note(trouble);
    if (outcome === 'unknown') {
      this.#hadUnanswered = true;
      this.#unanswered.push({ session, sentOver: connection, list: sessions.list });
    } else {
      const isFailure = outcome === 'refused' || outcome === 'not_sent';
      this.#conclude(session.id, isFailure ? 'failed' : outcome);
    }
  }

  #record(session: Session, { outcome, trouble }: KillResult): void {
    this.#request.record({ outcome, trouble, node: this.#parts.node, session });
  }

  #conclude(id: bigint, outcome: Outcome): void {
    const session = this.#outcomes.conclude(id, outcome);
    if (outcome === 'killed' && session !== undefined) this.#exits.expect(session);
  }

  #note(trouble: ServiceError | undefined): void {
    this.#trouble ??= trouble;
  }

  #termination(): Termination {
    for (const { session } of this.#unanswered) this.#conclude(session.id, 'unknown');
    for (const session of this.#pending) {
      this.#conclude(session.id, 'failed');
      this.#record(session, { outcome: 'not_sent', trouble: this.#trouble });
    }
    this.#concludeRecord();
    return {
      entries: this.#outcomes.entries((id) => this.#exits.stateOf(id)),
      isDryRun: this.#request.isDryRun,
      mayHaveSent: this.#mayHaveSent,
      trouble: this.#trouble,
    };
  }
}

const RESTARTED: Sentence = {
  'en-us':
    'The node may have been started again since the request came in, so that its ids mean other sessions; nothing was killed in the new run.',
  'zh-cn': '请求到达后节点可能已重启，会话ID可能已指向其他会话；未在新的运行周期中终止任何会话。',
};
