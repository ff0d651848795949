import { ServiceError, type Sentence } from '../errors.ts';
import { BatchOutcomes } from './batch-outcomes.ts';
import { limitReached } from './deadline.ts';
import { ExitWatcher } from './exit-watcher.ts';
import type { ControlConnection, KillResult } from './node.ts';
import type { Nodes, ProcessList } from './node.ts';
import { SessionSnapshot, type SnapshotParts } from './session-snapshot.ts';
import { isSameIncarnation, type Session, type UsedConnection } from './session.ts';
import { StatementKills } from './statement-kills.ts';
import type { Audit, Outcome, Termination, TerminationRequest } from './termination.ts';
import { OUTCOMES, resolveUnansweredKills, type UnansweredKill } from './unanswered-kills.ts';

/** Each connection that breaks can cost a full KILL timeout. */
const MAX_CONNECTIONS = 4;
/** At most this number of KILLs go one by one, so that a broken connection leaves one unanswered. A larger number is sent ahead. */
const MAX_ONE_BY_ONE = 8;

/** The parts that a kill batch needs besides the request. */
export interface KillBatchParts extends SnapshotParts {
  readonly nodes: Nodes;
  readonly audit: Audit;
  /** Aborted when the service stops: the batch goes on, but ends its wait for sessions to leave. */
  readonly stopping: AbortSignal;
  /** Called with the duration of the wait for sessions to leave, in milliseconds. */
  readonly onWaited: (milliseconds: number) => void;
}

/**
 * One request that ends sessions, from the first process list to the answer. Uses at most four connections if they break.
 * Promises 1 to 3 (docs/architecture.md): never the wrong session, never an internal thread, every id is accounted for.
 */
export class KillBatch {
  readonly #request: TerminationRequest;
  readonly #parts: KillBatchParts;
  readonly #outcomes: BatchOutcomes;
  /** The sessions to kill, in the order of the request. A session whose KILL may have had an effect never returns here. */
  readonly #pending: Session[] = [];
  readonly #unanswered: UnansweredKill[] = [];
  /** The sender of statement KILLs; undefined if the request ends sessions. */
  readonly #statements: StatementKills | undefined;
  readonly #exits: Pick<ExitWatcher, 'expect' | 'exitOf' | 'watch'>;
  /** The connection that read the first list; set once that list is on record. A later one must lead to the same incarnation. */
  #first: UsedConnection | undefined;
  #mayHaveSent = false;
  /** True once a KILL got no answer: the next connection can break too, so KILLs go one by one from then on. */
  #hadUnanswered = false;

  constructor(request: TerminationRequest, parts: KillBatchParts) {
    const statements =
      request.scope === 'statement' ? new StatementKills(request, parts.now) : undefined;
    this.#request = request;
    this.#parts = { ...parts, senderOver: statements?.senderOver.bind(statements) };
    this.#statements = statements;
    this.#outcomes = new BatchOutcomes(request, parts);
    this.#exits = statements ?? new ExitWatcher(parts.now, this.#outcomes);
  }

  /** Returns the outcome of every id. Throws `node_unavailable` or `audit_unavailable` only if no KILL was sent. */
  async run(): Promise<Termination> {
    const { node, nodes } = this.#parts;
    for (let attempts = 0; attempts < MAX_CONNECTIONS && this.#isUnfinished(); attempts += 1) {
      try {
        await nodes.withConnection(node, this.#request.deadline, (connection) =>
          this.#work(connection),
        );
      } catch (cause) {
        // No KILL is sent before the first list is on record.
        if (this.#first === undefined) throw cause;
        this.#outcomes.note(cause);
        break;
      }
      if (this.#isLate()) break;
    }
    return this.#finish();
  }

  #isUnfinished(): boolean {
    return this.#first === undefined || this.#pending.length > 0 || this.#unanswered.length > 0;
  }

  #isLate(): boolean {
    return this.#parts.now() > this.#request.deadline;
  }

  /** Does the remaining work over one connection. Returns early if the connection can do no more. */
  async #work(connection: ControlConnection): Promise<void> {
    this.#requireIncarnation(connection);
    const { ids, deadline, isDryRun } = this.#request;
    const usedAt = this.#parts.now();
    const wanted = this.#first === undefined ? ids : undefined;
    // Promise 2: the snapshot holds client sessions only.
    const snapshot = await SessionSnapshot.read(connection, this.#parts, deadline, wanted);
    if (this.#first === undefined) {
      // Concludes each id without a client session that matches `expected` as not found.
      const chosen = await this.#choose(snapshot);
      if (isDryRun) await this.#outcomes.predict(chosen, connection);
      // Promise 6: the record is on disk before the first KILL.
      else this.#pending.push(...(await this.#outcomes.putOnRecord(chosen)));
      const { id, incarnation } = connection;
      this.#first = { id, incarnation, usedAt };
    }
    if (isDryRun) return;
    const canGoOn = await this.#kill(snapshot);
    if (!canGoOn) return;
    if (this.#unanswered.length > 0) await this.#resolveUnanswered(connection);
    if (this.#request.waitMs !== undefined) await this.#watchExits(snapshot);
  }

  async #choose(snapshot: SessionSnapshot): Promise<readonly Session[]> {
    const chosen = this.#outcomes.choose(snapshot);
    if (this.#statements === undefined) return chosen;
    const running = await this.#statements.choose(chosen, snapshot.connection);
    return this.#outcomes.keepOnly(running, chosen);
  }

  /** Promise 1: throws `node_unavailable` if the incarnation began after the request, or is not that of the first list. */
  #requireIncarnation(connection: ControlConnection): void {
    const isOlderThanRequest = connection.incarnation.begunBy <= this.#request.receivedAt;
    const isTheSame = this.#first === undefined || isSameIncarnation(this.#first, connection);
    if (!isOlderThanRequest || !isTheSame) throw new ServiceError('node_unavailable', RESTARTED);
  }

  /** Kills the pending sessions. Returns false if the connection can do no more: then the next connection resolves unanswered KILLs. */
  async #kill(snapshot: SessionSnapshot): Promise<boolean> {
    // The list of the last attempt that sent no KILL ahead. Another attempt needs a newer list, which `kill` can read.
    let unsentBy: ProcessList | undefined;
    for (let session = this.#pending[0]; session !== undefined; session = this.#pending[0]) {
      if (this.#isLate()) {
        this.#outcomes.note(limitReached());
        return false;
      }
      const areMany = this.#pending.length > MAX_ONE_BY_ONE && !this.#hadUnanswered;
      if (areMany && snapshot.list !== unsentBy) {
        const before = this.#pending.length;
        await this.#killAhead(snapshot);
        if (this.#unanswered.length > 0) return false;
        if (this.#pending.length < before) continue;
        unsentBy = snapshot.list;
      }
      // Promise 1: kills only if a list that is at most 2 s old still shows the same session.
      const result = await snapshot.kill(session, this.#request.deadline);
      if (result.outcome === 'not_sent') {
        this.#outcomes.note(result.trouble);
        return false;
      }
      this.#mayHaveSent = true;
      this.#pending.shift();
      this.#processResult(session, result, snapshot);
      if (result.outcome === 'unknown') return false;
    }
    return true;
  }

  /** Sends many KILLs before the first answer. Sessions whose KILL was not sent are pending again. */
  async #killAhead(snapshot: SessionSnapshot): Promise<void> {
    const many = this.#pending.splice(0);
    this.#mayHaveSent = true;
    const unsent = await snapshot.killAhead(many, this.#request.deadline, (session, result) => {
      this.#processResult(session, result, snapshot);
    });
    this.#pending.push(...unsent);
  }

  /** Concludes a session whose KILL was sent, or which has left. Keeps a KILL without an answer, to resolve it later. */
  #processResult(
    session: Session,
    { outcome, trouble }: KillResult,
    snapshot: SessionSnapshot,
  ): void {
    if (outcome !== 'not_found') this.#outcomes.log(session, { outcome, trouble });
    if (outcome === 'unknown' || outcome === 'refused') this.#outcomes.note(trouble);
    if (outcome === 'unknown') {
      this.#hadUnanswered = true;
      this.#unanswered.push({ session, sentOver: snapshot.connection, list: snapshot.list });
    } else {
      this.#conclude(session.id, OUTCOMES[outcome]);
    }
  }

  #conclude(id: bigint, outcome: Outcome): void {
    const session = this.#outcomes.conclude(id, outcome);
    if (outcome === 'killed' && session !== undefined) this.#exits.expect(session);
  }

  /** Finds the outcomes of KILLs without an answer. Sends none of them again: an outcome that stays unclear is `unknown`. */
  async #resolveUnanswered(connection: ControlConnection): Promise<void> {
    const { node, audit, now } = this.#parts;
    const { origin, deadline } = this.#request;
    const kills = this.#unanswered.splice(0);
    const statements = this.#statements;
    const judgeListed = statements?.resolve.bind(statements);
    const parts = {
      ...{ node, audit, now, origin, deadline, outcomes: this.#outcomes },
      ...(judgeListed && { judgeListed }),
    };
    const resolved = await resolveUnansweredKills(kills, connection, parts);
    for (const { id, outcome } of resolved) this.#conclude(id, outcome);
  }

  async #watchExits(snapshot: SessionSnapshot): Promise<void> {
    const { now, stopping, onWaited } = this.#parts;
    const begun = now();
    await this.#exits.watch(snapshot, this.#request, stopping);
    onWaited(now() - begun);
  }

  /** Promise 3: concludes the chosen ids that have no outcome yet. */
  #finish(): Termination {
    for (const { session } of this.#unanswered) this.#conclude(session.id, 'unknown');
    for (const session of this.#pending) this.#outcomes.concludeUnsent(session);
    const result = this.#outcomes.finish(this.#mayHaveSent, (id) => this.#exits.exitOf(id));
    return this.#statements?.describe(result) ?? result;
  }
}

const RESTARTED: Sentence = {
  'en-us':
    'The node may have been started again since the request came in, so its ids can mean other sessions. Nothing was killed in the new run: list the sessions again.',
  'zh-cn':
    '请求到达后节点可能已重启，会话ID可能已指向其他会话。未在新的运行周期中终止任何会话，请重新查询会话列表。',
};
