import { matchesExpected } from './expectations.ts';
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
 * The longest time between the sending of a request and its arrival at the service. A larger value would hide violations.
 * The service compares with the start that the server reports, which is well after the start of the server's process.
 */
const ARRIVAL_MS = 50;

/**
 * Checks that an operation explains each death: it had the id, was sent in the same incarnation, was no dry run,
 * its `expected` matched, and its answer does not deny the kill.
 */
export function checkDeaths(view: View): Violation[] {
  // The replica's thread has a rule of its own.
  const deaths = view.sessions.filter((one) => isDeath(one) && one.role !== 'replica');
  const operations = operationsOn(deaths, view);
  return deaths.flatMap((session) => {
    const asked = operations.get(`${session.node} ${session.id}`) ?? [];
    const suspects = asked.map((operation) => ({
      operation,
      assessment: assess(operation, session, view),
    }));
    if (suspects.some(({ assessment }) => assessment === 'possible')) return [];
    return [violation(session, suspects)];
  });
}

/** True if a session ended although neither its server crashed nor its client closed it. */
export function isDeath({ endedAt, run }: ClientSession): boolean {
  return endedAt < run.endsAt;
}

/** `possible` if an operation can have killed a session and its answer agrees, else the reason against it. */
type Assessment =
  | 'possible'
  | 'before its incarnation'
  | 'not at that time'
  | 'dry run'
  | 'not expected'
  | 'error'
  | Outcome;

function assess(
  { request, sentAt, endedAt, answer }: KillOperation,
  session: ClientSession,
  view: View,
): Assessment {
  const { id, run } = session;
  if (sentAt > session.endedAt || endedAt < session.connectedAt) return 'not at that time';
  const arrivedBy = sentAt + ARRIVAL_MS + view.lag(sentAt, sentAt + ARRIVAL_MS);
  if (arrivedBy < run.begunAt) return 'before its incarnation';
  if (request.isDryRun) return 'dry run';
  const expected = request.expected.find((one) => one.id === id);
  if (expected !== undefined && !matchesExpected(session, expected)) return 'not expected';
  if (answer === undefined) return 'possible';
  const { ids } = answer;
  if (ids.killed === undefined) return 'error';
  if (ids.killed.includes(id) || ids.unknown?.includes(id) === true) return 'possible';
  return ids.failed?.includes(id) === true ? 'failed' : 'not_found';
}

const RULES: Partial<Record<Assessment, Rule>> = {
  failed: 'failed, but it died',
  error: 'an id is not accounted for',
  not_found: 'an id is not accounted for',
};

function violation(
  session: ClientSession,
  suspects: readonly { readonly operation: KillOperation; readonly assessment: Assessment }[],
): Violation {
  const { id, node, role } = session;
  const near = suspects.filter(({ assessment }) => assessment !== 'not at that time');
  const [rule] = near.flatMap(({ assessment }) => RULES[assessment] ?? []);
  const names = near.map(
    ({ operation, assessment }) => `operation ${operation.number} (${assessment})`,
  );
  const requests = names.length === 0 ? 'no operation' : names.join(', ');
  return {
    rule: rule ?? 'a bystander died',
    sentence: `The session ${id} of a ${role} on ${node} was ended, but no operation explains this. Its id was in ${requests}.`,
    operations: near.map(({ operation }) => operation.number),
    sessions: [session.session],
    node,
    id,
  };
}

/** Returns the operations with the ids of these sessions, by node and id. */
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
