import { groupBy } from './group.ts';
import type { Answer, KillRequest, Outcome } from './history.ts';
import { isKill, type KillOperation, type View, type Violation } from './view.ts';

const OUTCOMES: readonly Outcome[] = ['killed', 'not_found', 'failed', 'unknown'];
/** The statuses that a valid request may get besides 200: the service is full, or the node fails. */
const ERRORS: readonly number[] = [429, 500, 503];

/** Checks that each response has each distinct id once and in order, or is an error, and that a repeated key gets the same response. */
export function checkAccounts(view: View): Violation[] {
  const kills = view.operations.filter(isKill);
  const wrong = kills.flatMap((operation) => {
    const complaint = operation.answer && complaintOf(operation.request, operation.answer);
    return complaint === undefined ? [] : [violation(complaint, operation)];
  });
  return [...wrong, ...checkPages(view), ...checkKeys(kills, view)];
}

/** Returns the problem with the form of a response, or undefined. */
function complaintOf(request: KillRequest, answer: Answer): string | undefined {
  const { status, ids } = answer;
  const arrays = OUTCOMES.filter((outcome) => ids[outcome] !== undefined);
  if (status !== 200) {
    if (!ERRORS.includes(status)) return `a valid request got ${status}`;
    if (answer.errorCode === undefined || answer.errorMessage === undefined)
      return 'the error has no code or no message';
    if (arrays.length === 0) return undefined;
  }
  const due = status === 200 ? ['killed', 'not_found'] : OUTCOMES;
  if (due.join() !== arrays.join()) return `${status} with the arrays ${arrays.join()}`;
  const requested = [...new Set(request.ids)];
  const accounted = arrays.flatMap((outcome) => ids[outcome] ?? []);
  if (accounted.length !== requested.length || new Set(accounted).size !== requested.length) {
    return `the request has ${requested.length} ids and the answer ${accounted.length}`;
  }
  for (const outcome of arrays) {
    const inOrder = requested.filter((id) => ids[outcome]?.includes(id));
    if (inOrder.join() !== ids[outcome]?.join()) return `${outcome} has other ids or another order`;
  }
  const isIncomplete = (ids.failed?.length ?? 0) + (ids.unknown?.length ?? 0) > 0;
  if (status !== 200 && !isIncomplete) return 'the status is 500, but no id failed';
  if (answer.isDryRun !== request.isDryRun) return 'dry_run differs from the request';
  return complaintOfRepresentation(request, answer);
}

function complaintOfRepresentation(
  { ids, isRepresentationWanted, isDryRun }: KillRequest,
  answer: Answer,
): string | undefined {
  if (!isRepresentationWanted) return undefined;
  const { processes = [] } = answer;
  const requested = [...new Set(ids)];
  if (processes.map(({ id }) => id).join() !== requested.join()) return 'processes has other ids';
  const wrong = processes.find(({ id, outcome }) => {
    const killed = isDryRun ? ['would_kill'] : ['gone', 'killed', 'rolling_back'];
    const array = killed.includes(outcome) ? 'killed' : outcome;
    return answer.ids[array as Outcome]?.includes(id) !== true;
  });
  return wrong && `processes has ${wrong.id} as ${wrong.outcome}, the arrays do not`;
}

function checkPages({ operations }: View): Violation[] {
  return operations.flatMap(({ number, node, request, answer }) => {
    if (request.method !== 'GET' || answer === undefined) return [];
    const isValid = answer.status === 200 || ERRORS.includes(answer.status);
    const ids = (answer.processes ?? []).map(({ id }) => id);
    const isSorted = ids.every((id, index) => index === 0 || id > (ids[index - 1] ?? 0n));
    if (isValid && isSorted) return [];
    const sentence = `Operation ${number}: the page has status ${answer.status}, or its ids are out of order.`;
    return [{ rule: 'an id is not accounted for', sentence, node, operations: [number] } as const];
  });
}

/** Checks that one run of the service returns the same response each time a key is used. */
function checkKeys(kills: readonly KillOperation[], { serviceKills }: View): Violation[] {
  const keyed = groupBy(kills, ({ request: { key }, node }) => key && `${node} ${key}`);
  return [...keyed].flatMap(([key, repeated]) => {
    if (key === undefined || repeated.length < 2) return [];
    const [first, ...later] = repeated
      .filter(({ answer }) => answer?.status === 200)
      .sort((one, other) => one.endedAt - other.endedAt);
    if (first === undefined) return [];
    return later.flatMap((operation) => {
      const isOneRun = !serviceKills.some((at) => at > first.sentAt && at < operation.endedAt);
      if (!isOneRun || operation.sentAt < first.endedAt || same(first, operation)) return [];
      const sentence = `the key of operation ${first.number} got another answer`;
      return [violation(sentence, operation, first.number)];
    });
  });
}

function same(one: KillOperation, other: KillOperation): boolean {
  return OUTCOMES.every(
    (outcome) => one.answer?.ids[outcome]?.join() === other.answer?.ids[outcome]?.join(),
  );
}

function violation(
  complaint: string,
  { number, node }: KillOperation,
  ...more: number[]
): Violation {
  return {
    rule: 'an id is not accounted for',
    sentence: `Operation ${number}: ${complaint}.`,
    operations: [...more, number],
    node,
  };
}
