import { groupBy } from './group.ts';
import type { Answer, KillRequest, Outcome } from './history.ts';
import { isKill, type KillOperation, type View, type Violation } from './view.ts';

const OUTCOMES: readonly Outcome[] = ['killed', 'not_found', 'failed', 'unknown'];
/** Beside a full account: the service is full, or the node cannot be spoken to. */
const ERRORS: readonly number[] = [429, 500, 503];

/** Every answer accounts for each distinct id exactly once and in order, or fails as a whole; and the same key gets the same answer. */
export function checkAccounts(view: View): Violation[] {
  const kills = view.operations.filter(isKill);
  const wrong = kills.flatMap((operation) => {
    const complaint = operation.answer && complaintOf(operation.request, operation.answer);
    return complaint === undefined ? [] : [violation(complaint, operation)];
  });
  return [...wrong, ...checkPages(view), ...checkKeys(kills, view)];
}

/** What is wrong with the form of an answer. */
function complaintOf(request: KillRequest, answer: Answer): string | undefined {
  const { status, ids } = answer;
  const arrays = OUTCOMES.filter((outcome) => ids[outcome] !== undefined);
  if (status !== 200) {
    if (!ERRORS.includes(status)) return `a sound request got ${status}`;
    if (answer.errorCode === undefined || answer.errorMessage === undefined)
      return 'no error is told';
    if (arrays.length === 0) return undefined;
  }
  const due = status === 200 ? ['killed', 'not_found'] : OUTCOMES;
  if (due.join() !== arrays.join()) return `${status} with the arrays ${arrays.join()}`;
  const requested = [...new Set(request.ids)];
  const accounted = arrays.flatMap((outcome) => ids[outcome] ?? []);
  if (accounted.length !== requested.length || new Set(accounted).size !== requested.length) {
    return `${requested.length} ids were asked for and ${accounted.length} accounted for`;
  }
  for (const outcome of arrays) {
    const inOrder = requested.filter((id) => ids[outcome]?.includes(id));
    if (inOrder.join() !== ids[outcome]?.join())
      return `${outcome} holds other ids, or in another order`;
  }
  const isIncomplete = (ids.failed?.length ?? 0) + (ids.unknown?.length ?? 0) > 0;
  if (status !== 200 && !isIncomplete) return '500 although nothing failed';
  if (answer.isDryRun !== request.isDryRun) return 'dry_run is not told as it was';
  return complaintOfRepresentation(request, answer);
}

function complaintOfRepresentation(
  { ids, isRepresentationWanted, isDryRun }: KillRequest,
  answer: Answer,
): string | undefined {
  if (!isRepresentationWanted) return undefined;
  const { processes = [] } = answer;
  const requested = [...new Set(ids)];
  if (processes.map(({ id }) => id).join() !== requested.join()) return 'processes holds other ids';
  const liar = processes.find(({ id, outcome }) => {
    const killed = isDryRun ? ['would_kill'] : ['gone', 'killed', 'rolling_back'];
    const told = killed.includes(outcome) ? 'killed' : outcome;
    return answer.ids[told as Outcome]?.includes(id) !== true;
  });
  return liar && `processes says ${liar.outcome} of ${liar.id}, the arrays do not`;
}

function checkPages({ operations }: View): Violation[] {
  return operations.flatMap(({ number, node, request, answer }) => {
    if (request.method !== 'GET' || answer === undefined) return [];
    const isSound = answer.status === 200 || ERRORS.includes(answer.status);
    const ids = (answer.processes ?? []).map(({ id }) => id);
    const isSorted = ids.every((id, index) => index === 0 || id > (ids[index - 1] ?? 0n));
    if (isSound && isSorted) return [];
    const sentence = `Operation ${number}: a page came with ${answer.status}, or out of order.`;
    return [{ rule: 'an id is not accounted for', sentence, node, operations: [number] } as const];
  });
}

/** What a run of the service answered once under a key, it answers again. */
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
