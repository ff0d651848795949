import { isDeath } from './check-deaths.ts';
import { readAudit, type AuditEntry, type AuditFile } from './audit-file.ts';
import type { View, Violation } from './view.ts';
import { NODES } from './wire.ts';

/** The clock of the audit's times is another one than ours. */
const CLOCKS_MS = 100;
/** The outcome is put down soon, not at once: a service that is killed until then leaves none. */
const SOON_MS = 1_000;

/**
 * Each session that was killed stands in the audit file with its host, before its end and before its outcome; what an answer
 * says to be killed the file says too; and nothing is torn but where the service was killed.
 */
export function checkAudit(view: View, text: string): Violation[] {
  const file = readAudit(text);
  return [
    ...checkLines(file, view),
    ...checkDeathsOnRecord(file, view),
    ...checkOrder(file),
    ...checkAnswers(file, view),
  ];
}

function checkLines({ torn, misplaced }: AuditFile, { serviceKills }: View): Violation[] {
  const tooMany = torn.length - serviceKills.length;
  return [
    ...misplaced.map((line) => broken(`Line ${line} of the audit file is torn.`)),
    ...(tooMany > 0 ? [broken(`The audit file has ${tooMany} torn lines too many.`)] : []),
  ];
}

function checkDeathsOnRecord({ intents }: AuditFile, view: View): Violation[] {
  return view.sessions.filter(isDeath).flatMap(({ node, id, host, endedAt, session, role }) => {
    // An internal thread: of it an own rule tells.
    if (role === 'replica') return [];
    const named = intents.get(`${NODES[node]} ${id}`) ?? [];
    if (named.some((one) => one.host === host && one.at <= endedAt + CLOCKS_MS)) return [];
    const sentence = `The session ${id} on ${node} was ended, and no intent before names it with ${host}.`;
    return [{ ...broken(sentence), sessions: [session], node, id }];
  });
}

function checkOrder({ intents, outcomes }: AuditFile): Violation[] {
  const isIntended = (outcome: AuditEntry): boolean =>
    intents
      .get(outcome.key)
      ?.some(({ requestId, line }) => requestId === outcome.requestId && line < outcome.line) ===
    true;
  return [...outcomes.values()]
    .flat()
    .filter((outcome) => !isIntended(outcome))
    .map(({ line, key }) =>
      broken(`Line ${line} tells what came of ${key}, and no line before it the intent.`),
    );
}

function checkAnswers({ outcomes }: AuditFile, view: View): Violation[] {
  return view.operations.flatMap(({ number, node, request, answer, sentAt, endedAt }) => {
    // An answer that was on its way then is read after the kill.
    const isCutOff = view.serviceKills.some((at) => at >= sentAt && at <= endedAt + SOON_MS);
    // What is repeated under a key stands on record under the first request.
    if (request.method !== 'DELETE' || request.isDryRun || request.key !== undefined) return [];
    if (answer === undefined || isCutOff) return [];
    const isTold = (id: bigint): boolean =>
      outcomes
        .get(`${NODES[node]} ${id}`)
        ?.some((one) => one.requestId === answer.requestId && one.outcome === 'killed') === true;
    const untold = (answer.ids.killed ?? []).filter((id) => !isTold(id));
    return untold.map((id) => ({
      ...broken(`Operation ${number} says that it killed ${id}; the audit file does not.`),
      operations: [number],
      node,
      id,
    }));
  });
}

function broken(sentence: string): Violation {
  return { rule: 'a kill is not on record', sentence };
}
