import type { Request, RequestHandler, Response } from 'express';
import type { Origin } from '../domain/audit.ts';
import { NotCacheable, type IdempotentResponses } from '../domain/idempotent-responses.ts';
import type { SessionService } from '../domain/session-service.ts';
import type { Termination } from '../domain/termination.ts';
import { nodeKey, type PathIds } from './path-ids.ts';
import { limitWaits, parsePrefer } from './prefer.ts';
import type { ProcessesBody } from './processes-body.ts';
import { requestContext } from './request-context.ts';
import type { RequestLimits } from './request-limits.ts';
import { logKill, type EventLog } from './request-log.ts';
import { reservationsFor } from './reservations.ts';
import {
  allUnknown,
  answerOf,
  isInVain,
  recall,
  remember,
  sendTermination,
} from './termination-wire.ts';

/** Answers DELETE, once everything about the request is valid: ends sessions, or tells again what came of the same request. */
export function endSessions(
  sessions: SessionService,
  { requestTimeoutMs, maxWaitSeconds }: RequestLimits,
  log: EventLog,
  idempotentResponses: IdempotentResponses,
): RequestHandler<PathIds, unknown, ProcessesBody> {
  const withinReason = limitWaits();
  return async (req, res) => {
    // Taken from where it was checked: `matchedData` would take longer than the checks.
    const { processes, expected } = req.body;
    const isDryRun = isDryRunWanted(req);
    requestContext(res).isDryRun = isDryRun;
    const preferred = parsePrefer(req.get('prefer'), maxWaitSeconds);
    // A dry run has nothing to wait for.
    const wanted = isDryRun
      ? { ...preferred, waitSeconds: undefined }
      : withinReason(preferred, res);
    const waitMs = (wanted.waitSeconds ?? 0) * 1000;
    const isLookWanted = wanted.waitSeconds !== undefined || wanted.isRepresentationWanted;
    const { receivedAt } = requestContext(res);
    const terminate = (): Promise<Termination> =>
      sessions.terminate(nodeKey(req.params), {
        ids: processes,
        expected: expected ?? [],
        isDryRun,
        waitMs: isLookWanted && !isDryRun ? waitMs : undefined,
        receivedAt,
        deadline: receivedAt + requestTimeoutMs,
        origin: originOf(res, req.get('x-kill-reason')),
        record: logKill(log, requestContext(res)),
      });

    const limitMs = requestTimeoutMs + waitMs;
    const reservations = reservationsFor(req, res, limitMs);
    if (reservations.length === 0) {
      sendTermination(res, answerOf(await terminate(), wanted), wanted.isRepresentationWanted);
      return;
    }
    let isRepeated = true;
    const terminateFirst = async (): Promise<string> => {
      isRepeated = false;
      const termination = await terminate();
      const text = remember(termination, wanted);
      if (isInVain(termination)) throw new NotCacheable(text);
      return text;
    };
    const told = await idempotentResponses.once(reservations, terminateFirst, receivedAt + limitMs);
    requestContext(res).isRepeated = isRepeated;
    const termination = told === undefined ? allUnknown(processes, isDryRun) : recall(told);
    sendTermination(res, termination, wanted.isRepresentationWanted);
  };
}

// Reading the query parses it.
function isDryRunWanted(req: Request<PathIds, unknown, ProcessesBody>): boolean {
  return req.url.includes('?') && req.query['dry_run'] === 'true';
}

function originOf(res: Response, reason: string | undefined): Origin {
  const { requestId, traceId, caller, address } = requestContext(res);
  const { user = '', proof = '' } = caller ?? {};
  return { requestId, traceId, caller: user, proof, address, reason };
}
