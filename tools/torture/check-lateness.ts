import type { View, Operation, Violation } from './view.ts';

/** More than its limit an answer may take by so much. */
const ALLOWED_MS = 100;

/**
 * By how much an answer came later than its limit, without the time in which the machine kept the service, or us who take the time, from running;
 * negative when it was in time.
 */
export function latenessOf(operation: Operation, view: View, requestTimeoutMs: number): number {
  const { request, sentAt, endedAt } = operation;
  const waitMs =
    request.method === 'DELETE' && !request.isDryRun ? (request.waitSeconds ?? 0) * 1000 : 0;
  return (
    Math.min(endedAt, view.endsAt) -
    sentAt -
    requestTimeoutMs -
    waitMs -
    view.starvation(sentAt, endedAt)
  );
}

/** No answer is late, and none stays away while the service runs. */
export function checkLateness(view: View, requestTimeoutMs: number): Violation[] {
  return view.operations.flatMap((operation) => {
    const { number, node, sentAt, endedAt, answer } = operation;
    const isCutOff = view.serviceKills.some((at) => at > sentAt - 1_000 && at <= endedAt + 1_000);
    if (answer === undefined && isCutOff) return [];
    const lateness = latenessOf(operation, view, requestTimeoutMs);
    const isOpen = endedAt === Infinity;
    if ((isOpen || answer !== undefined) && lateness <= ALLOWED_MS) return [];
    const told =
      answer === undefined ? 'got no answer' : `was answered ${Math.round(lateness)} ms late`;
    const sentence = `Operation ${number} on ${node} ${told}.`;
    return [{ rule: 'the answer was late', sentence, node, operations: [number] }];
  });
}
