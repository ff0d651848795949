import type { View, Operation, Violation } from './view.ts';

/** An answer may take this much longer than its limit. */
const ALLOWED_MS = 100;

/**
 * Returns how many milliseconds after its limit an answer came; negative if it was in time.
 * Time in which the service or this process could not run does not count.
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

/** Checks that no answer is late, and that none is missing while the service runs. */
export function checkLateness(view: View, requestTimeoutMs: number): Violation[] {
  return view.operations.flatMap((operation) => {
    const { number, node, sentAt, endedAt, answer } = operation;
    const isCutOff = view.serviceKills.some((at) => at > sentAt - 1_000 && at <= endedAt + 1_000);
    if (answer === undefined && isCutOff) return [];
    const lateness = latenessOf(operation, view, requestTimeoutMs);
    const isOpen = endedAt === Infinity;
    if ((isOpen || answer !== undefined) && lateness <= ALLOWED_MS) return [];
    const trouble =
      answer === undefined ? 'got no answer' : `was answered ${Math.round(lateness)} ms late`;
    const sentence = `Operation ${number} on ${node} ${trouble}.`;
    return [{ rule: 'the answer was late', sentence, node, operations: [number] }];
  });
}
