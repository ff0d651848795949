import { matchesExpected } from './expectations.ts';
import {
  DEATH_MS,
  isKill,
  type ClientSession,
  type Incarnation,
  type KillOperation,
  type Rule,
  type View,
  type Violation,
} from './view.ts';
import { isControl, isInternal } from './observer.ts';

/** The longest time between the end of a session at the server and the moment at which its client notices. */
const NOTICE_MS = 1_000;
/** The longest life of a session after its client left during a statement: the server first ends the statement. */
const ABANDONED_MS = 15_000;
/** The observer reads the process list at least this often, unless the server stands still. */
const OBSERVER_INTERVAL_MS = 1_000;
/** The largest number of ids that the server can have used without the observer's notice. */
const UNSEEN_IDS = 500n;

/** Checks that each session reported as killed existed and is gone, and that no session reported as not found was there throughout. */
export function checkOutcomes(view: View): Violation[] {
  const known = new ObservedIds(view);
  const firsts = firstSent(view);
  return view.operations.filter(isKill).flatMap((operation) => {
    const { ids = {} } = operation.answer ?? {};
    // An answer to a repeated key has the outcomes of the first request.
    const { key } = operation.request;
    const since = (key !== undefined && firsts.get(`${operation.node} ${key}`)) || operation.sentAt;
    const claim = { operation, since, view, known };
    return [
      ...(ids.killed ?? []).flatMap((id) => checkKilled(id, claim) ?? []),
      ...(ids.not_found ?? []).flatMap((id) => checkNotFound(id, claim) ?? []),
    ];
  });
}

interface Claim {
  readonly operation: KillOperation;
  /** The service found the outcome at this moment or later. */
  readonly since: number;
  readonly view: View;
  readonly known: ObservedIds;
}

function checkKilled(id: bigint, { operation, since, view, known }: Claim): Violation | undefined {
  const { node, endedAt, request } = operation;
  const possible = view.sessionsWith(node, id).filter((session) => {
    const left = Math.min(
      session.endedAt + DEATH_MS + view.standstill(node, session.endedAt, since),
      session.closedAt + ABANDONED_MS + view.standstill(node, session.closedAt, since),
      session.run.endedAt,
    );
    const listedAt = known.lastListed(session);
    const isListed =
      listedAt + OBSERVER_INTERVAL_MS + view.standstill(node, listedAt, since) > since;
    const isThere = left > since || isListed;
    return session.connectedAt < endedAt && isThere && isAllowed(session, operation);
  });
  if (possible.length === 0) {
    const reason = known.whyNotKilled(id, operation, since);
    const sentence = `It reports ${id} as killed, ${reason?.why ?? ''}`;
    const others = view.sessionsWith(node, id).filter(({ run }) => isDuring(run, since, endedAt));
    return reason && violation(reason.rule, sentence, operation, id, others);
  }
  const limit = endedAt + DEATH_MS + view.standstill(node, endedAt, endedAt + DEATH_MS);
  const isGone = ({ endedAt: ended, closedAt, run }: ClientSession): boolean =>
    Math.min(ended, closedAt, run.endsAt, view.endsAt) <= limit;
  if (request.isDryRun || possible.some(isGone)) return undefined;
  const sentence = `It reports ${id} as killed, but the session is alive ${DEATH_MS} ms later`;
  return violation('killed, but it lives', sentence, operation, id, possible);
}

function checkNotFound(id: bigint, { operation, since, view }: Claim): Violation | undefined {
  const { node, endedAt } = operation;
  const limit = endedAt + NOTICE_MS + view.standstill(node, endedAt, endedAt + NOTICE_MS);
  const there = view.sessionsWith(node, id).filter((session) => {
    const { begunAt, closedAt, endedAt: ended, run, role } = session;
    const isThroughout =
      begunAt < since && Math.min(ended, closedAt, view.endsAt) > limit && run.endsAt > endedAt;
    return isThroughout && role !== 'replica' && isAllowed(session, operation);
  });
  if (there.length === 0) return undefined;
  const sentence = `It reports ${id} as not found, but the session was there before and after`;
  return violation('not found, but it lives', sentence, operation, id, there);
}

function isAllowed(session: ClientSession, { request }: KillOperation): boolean {
  const expected = request.expected.find(({ id }) => id === session.id);
  return expected === undefined || matchesExpected(session, expected);
}

/** The ids that the observer saw in process lists, by incarnation. */
class ObservedIds {
  readonly #view: View;
  readonly #internal = new Map<Incarnation, Set<bigint>>();
  readonly #last = new Map<Incarnation, bigint>();
  readonly #listed = new Map<Incarnation, Map<bigint, number>>();

  constructor(view: View) {
    this.#view = view;
    for (const { run, threads, at } of view.sightings) {
      const internal = this.#internal.get(run) ?? new Set();
      this.#internal.set(run, internal);
      const listed = this.#listed.get(run) ?? new Map<bigint, number>();
      this.#listed.set(run, listed);
      for (const { id } of threads) listed.set(id, at);
      for (const thread of threads) {
        if (isInternal(thread) || isControl(thread)) internal.add(thread.id);
        this.#noteLast(run, thread.id);
      }
    }
    for (const { run, id } of view.sessions) this.#noteLast(run, id);
  }

  /** Returns when the observer last saw a session: a server can list a killed session for seconds. */
  lastListed({ run, id }: ClientSession): number {
    return this.#listed.get(run)?.get(id) ?? -Infinity;
  }

  /** Returns why no incarnation can have had a session with this id during the operation, or undefined if one can. */
  whyNotKilled(
    id: bigint,
    { node, endedAt }: KillOperation,
    since: number,
  ): { readonly rule: Rule; readonly why: string } | undefined {
    const runs = this.#view.incarnations.filter(
      (run) => run.node === node && isDuring(run, since, endedAt),
    );
    if (runs.some((run) => this.#internal.get(run)?.has(id) === true)) {
      return { rule: 'an internal thread died', why: 'but the id belongs to an internal thread' };
    }
    if (
      !runs.every((run) => id > (this.#last.get(run) ?? 0n) + UNSEEN_IDS || this.#isKnown(run, id))
    ) {
      return undefined;
    }
    return { rule: 'killed, but it lives', why: 'but no session had this id' };
  }

  #isKnown(run: Incarnation, id: bigint): boolean {
    return this.#view.sessionsWith(run.node, id).some((session) => session.run === run);
  }

  #noteLast(run: Incarnation, id: bigint): void {
    if (id > (this.#last.get(run) ?? 0n)) this.#last.set(run, id);
  }
}

function isDuring({ begunAt, endedAt }: Incarnation, from: number, to: number): boolean {
  return begunAt < to && endedAt > from;
}

/** Returns when the first operation with each key was sent. */
function firstSent({ operations }: View): ReadonlyMap<string, number> {
  const firsts = new Map<string, number>();
  for (const { node, request, sentAt } of operations.filter(isKill)) {
    const name = `${node} ${request.key}`;
    if (request.key !== undefined && !firsts.has(name)) firsts.set(name, sentAt);
  }
  return firsts;
}

function violation(
  rule: Rule,
  sentence: string,
  { number, node }: KillOperation,
  id: bigint,
  sessions: readonly ClientSession[] = [],
): Violation {
  return {
    rule,
    sentence: `Operation ${number} on ${node}: ${sentence}.`,
    operations: [number],
    sessions: sessions.map(({ session }) => session),
    node,
    id,
  };
}
