import { isDeath } from './check-deaths.ts';
import { readAudit, type AuditEntry, type AuditFile } from './audit-file.ts';
import type { View, Violation } from './view.ts';
import { NODES } from './wire.ts';

/** The allowed difference between the clock of the audit file and the clock of this process. */
const CLOCKS_MS = 100;
/** The service writes an outcome at most this time after the response. If the service is killed before, the outcome is missing. */
const SOON_MS = 1_000;

/**
 * Checks the audit file:
 * - Each killed session has an intent with its host, before its end and before its outcome.
 * - Each id that an answer reports as killed has the outcome `killed`.
 * - A line is torn only where the service was killed.
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
    ...(tooMany > 0
      ? [broken(`The audit file has ${tooMany} torn lines more than kills of the service.`)]
      : []),
  ];
}

function checkDeathsOnRecord({ intents }: AuditFile, view: View): Violation[] {
  return view.sessions.filter(isDeath).flatMap(({ node, id, host, endedAt, session, role }) => {
    // A replica is an internal thread, which has a rule of its own.
    if (role === 'replica') return [];
    const named = intents.get(`${NODES[node]} ${id}`) ?? [];
    if (named.some((one) => one.host === host && one.at <= endedAt + CLOCKS_MS)) return [];
    const sentence = `The session ${id} on ${node} was ended without an earlier intent that has the host ${host}.`;
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
      broken(`Line ${line} has the outcome of ${key}, but no earlier line has the intent.`),
    );
}

function checkAnswers({ outcomes }: AuditFile, view: View): Violation[] {
  return view.operations.flatMap(({ number, node, request, answer, sentAt, endedAt }) => {
    // This process can read an answer shortly after the kill of the service.
    const isCutOff = view.serviceKills.some((at) => at >= sentAt && at <= endedAt + SOON_MS);
    // A repeated request with a key has its records under the id of the first request.
    if (request.method !== 'DELETE' || request.isDryRun || request.key !== undefined) return [];
    if (answer === undefined || isCutOff) return [];
    const isRecorded = (id: bigint): boolean =>
      outcomes
        .get(`${NODES[node]} ${id}`)
        ?.some((one) => one.requestId === answer.requestId && one.outcome === 'killed') === true;
    const unrecorded = (answer.ids.killed ?? []).filter((id) => !isRecorded(id));
    return unrecorded.map((id) => ({
      ...broken(`Operation ${number} reports ${id} as killed, but the audit file does not.`),
      operations: [number],
      node,
      id,
    }));
  });
}

function broken(sentence: string): Violation {
  return { rule: 'a kill is not on record', sentence };
}
