import { isMeant } from './expectations.ts';
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

/** Between the server's end of a session and its client's hearing of it can be so long. */
const HEARING_MS = 1_000;
/** A session whose client left during a statement goes on until the statement's end. */
const ABANDONED_MS = 15_000;
/** Root looks at least so often, unless the server stands still. */
const LOOK_MS = 1_000;
/** So many ids can have been given out unseen. */
const UNSEEN_IDS = 500n;

/** What is reported killed was there and is gone; what is reported not found was not there, or is gone. */
export function checkOutcomes(view: View): Violation[] {
  const known = new Known(view);
  const firsts = firstSent(view);
  return view.operations.filter(isKill).flatMap((operation) => {
    const { ids = {} } = operation.answer ?? {};
    // A repeated answer tells what was so when it was given first.
    const { key } = operation.request;
    const since = (key !== undefined && firsts.get(`${operation.node} ${key}`)) || operation.sentAt;
    const said = { operation, since, view, known };
    return [
      ...(ids.killed ?? []).flatMap((id) => checkKilled(id, said) ?? []),
      ...(ids.not_found ?? []).flatMap((id) => checkNotFound(id, said) ?? []),
    ];
  });
}

interface Said {
  readonly operation: KillOperation;
  /** No earlier than that was it found out. */
  readonly since: number;
  readonly view: View;
  readonly known: Known;
}

function checkKilled(id: bigint, { operation, since, view, known }: Said): Violation | undefined {
  const { node, endedAt, request } = operation;
  const possible = view.sessionsWith(node, id).filter((session) => {
    const left = Math.min(
      session.endedAt + DEATH_MS + view.standstill(node, session.endedAt, since),
      session.closedAt + ABANDONED_MS + view.standstill(node, session.closedAt, since),
      session.run.endedAt,
    );
    const listedAt = known.lastListed(session);
    const isListed = listedAt + LOOK_MS + view.standstill(node, listedAt, since) > since;
    const isThere = left > since || isListed;
    return session.connectedAt < endedAt && isThere && isAllowed(session, operation);
  });
  if (possible.length === 0) {
    const reason = known.whyNotKilled(id, operation, since);
    const sentence = `It says that it killed ${id}, ${reason?.why ?? ''}`;
    const others = view.sessionsWith(node, id).filter(({ run }) => isDuring(run, since, endedAt));
    return reason && violation(reason.rule, sentence, operation, id, others);
  }
  const limit = endedAt + DEATH_MS + view.standstill(node, endedAt, endedAt + DEATH_MS);
  const isGone = ({ endedAt: ended, closedAt, run }: ClientSession): boolean =>
    Math.min(ended, closedAt, run.endsAt, view.endsAt) <= limit;
  if (request.isDryRun || possible.some(isGone)) return undefined;
  const sentence = `It says that it killed ${id}, which lives on ${DEATH_MS} ms later`;
  return violation('killed, but it lives', sentence, operation, id, possible);
}

function checkNotFound(id: bigint, { operation, since, view }: Said): Violation | undefined {
  const { node, endedAt } = operation;
  const limit = endedAt + HEARING_MS + view.standstill(node, endedAt, endedAt + HEARING_MS);
  const there = view.sessionsWith(node, id).filter((session) => {
    const { begunAt, closedAt, endedAt: ended, run, role } = session;
    const isThroughout =
      begunAt < since && Math.min(ended, closedAt, view.endsAt) > limit && run.endsAt > endedAt;
    return isThroughout && role !== 'replica' && isAllowed(session, operation);
  });
  if (there.length === 0) return undefined;
  const sentence = `It says that there is no ${id}, which was there before and after`;
  return violation('not found, but it lives', sentence, operation, id, there);
}

function isAllowed(session: ClientSession, { request }: KillOperation): boolean {
  const expected = request.expected.find(({ id }) => id === session.id);
  return expected === undefined || isMeant(session, expected);
}

/** What is known of ids that are no client's. */
class Known {
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

  /** When root saw it last: what is killed can be listed for long. */
  lastListed({ run, id }: ClientSession): number {
    return this.#listed.get(run)?.get(id) ?? -Infinity;
  }

  /** Why no server can have had a session of this id for this operation to kill; undefined if one can. */
  whyNotKilled(
    id: bigint,
    { node, endedAt }: KillOperation,
    since: number,
  ): { readonly rule: Rule; readonly why: string } | undefined {
    const runs = this.#view.incarnations.filter(
      (run) => run.node === node && isDuring(run, since, endedAt),
    );
    if (runs.some((run) => this.#internal.get(run)?.has(id) === true)) {
      return { rule: 'an internal thread died', why: 'which was no session but internal' };
    }
    if (
      !runs.every((run) => id > (this.#last.get(run) ?? 0n) + UNSEEN_IDS || this.#isKnown(run, id))
    ) {
      return undefined;
    }
    return { rule: 'killed, but it lives', why: 'but no such session was there to be killed' };
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

/** When the first operation with each key was sent. */
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
