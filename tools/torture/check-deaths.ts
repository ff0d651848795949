import { isMeant } from './expectations.ts';
import type { Outcome } from './history.ts';
import {
  isKill,
  type ClientSession,
  type KillOperation,
  type Rule,
  type View,
  type Violation,
} from './view.ts';

/**
 * Between a request's leaving us and its coming in at the service can be so long. More would hide what must not be; and a server's
 * own start, by which the service goes, is a good while after the start of its process.
 */
const ARRIVAL_MS = 50;

/**
 * Every session that ended although its incarnation lived on must have been killed for an operation that asked for it, was
 * sent in that incarnation, was no dry run, met its own `expected`, and did not say that it had killed nothing.
 */
export function checkDeaths(view: View): Violation[] {
  // Of the replica's thread an own rule tells.
  const deaths = view.sessions.filter((one) => isDeath(one) && one.role !== 'replica');
  const operations = operationsOn(deaths, view);
  return deaths.flatMap((session) => {
    const asked = operations.get(`${session.node} ${session.id}`) ?? [];
    const pleas = asked.map((operation) => ({ operation, plea: pleaOf(operation, session, view) }));
    if (pleas.some(({ plea }) => plea === 'guilty')) return [];
    return [violation(session, pleas)];
  });
}

/** Whether a session ended without a crash and without its client's doing. */
export function isDeath({ endedAt, run }: ClientSession): boolean {
  return endedAt < run.endsAt;
}

/** Why an operation cannot have killed a session and been truthful; `guilty` when it can. */
type Plea =
  | 'guilty'
  | 'before its incarnation'
  | 'not at that time'
  | 'dry run'
  | 'not expected'
  | 'error'
  | Outcome;

function pleaOf(
  { request, sentAt, endedAt, answer }: KillOperation,
  session: ClientSession,
  view: View,
): Plea {
  const { id, run } = session;
  if (sentAt > session.endedAt || endedAt < session.connectedAt) return 'not at that time';
  const arrivedBy = sentAt + ARRIVAL_MS + view.lag(sentAt, sentAt + ARRIVAL_MS);
  if (arrivedBy < run.begunAt) return 'before its incarnation';
  if (request.isDryRun) return 'dry run';
  const expected = request.expected.find((one) => one.id === id);
  if (expected !== undefined && !isMeant(session, expected)) return 'not expected';
  if (answer === undefined) return 'guilty';
  const { ids } = answer;
  if (ids.killed === undefined) return 'error';
  if (ids.killed.includes(id) || ids.unknown?.includes(id) === true) return 'guilty';
  return ids.failed?.includes(id) === true ? 'failed' : 'not_found';
}

const RULES: Partial<Record<Plea, Rule>> = {
  failed: 'failed, but it died',
  error: 'an id is not accounted for',
  not_found: 'an id is not accounted for',
};

function violation(
  session: ClientSession,
  pleas: readonly { readonly operation: KillOperation; readonly plea: Plea }[],
): Violation {
  const { id, node, role } = session;
  const near = pleas.filter(({ plea }) => plea !== 'not at that time');
  const [rule] = near.flatMap(({ plea }) => RULES[plea] ?? []);
  const told = near.map(({ operation, plea }) => `operation ${operation.number} (${plea})`);
  const who = told.length === 0 ? 'nobody' : told.join(', ');
  return {
    rule: rule ?? 'a bystander died',
    sentence: `The session ${id} of a ${role} on ${node} was ended, and nobody may have done it: it was asked for by ${who}.`,
    operations: near.map(({ operation }) => operation.number),
    sessions: [session.session],
    node,
    id,
  };
}

/** The operations that named these sessions' ids, by node and id. */
function operationsOn(
  sessions: readonly ClientSession[],
  view: View,
): ReadonlyMap<string, readonly KillOperation[]> {
  const found = new Map<string, KillOperation[]>(
    sessions.map(({ node, id }) => [`${node} ${id}`, []]),
  );
  for (const operation of view.operations.filter(isKill)) {
    for (const id of new Set(operation.request.ids))
      found.get(`${operation.node} ${id}`)?.push(operation);
  }
  return found;
}
