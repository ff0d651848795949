import type { Request, RequestHandler, Response } from 'express';
import { matchedData } from 'express-validator';

import { NotCacheable, type IdempotentResponses } from '../domain/idempotent-responses.ts';
import type { SessionService } from '../domain/session-service.ts';
import type { Origin, Termination } from '../domain/termination.ts';
import type { PathIds } from './route-steps.ts';
import { nodeKey } from './validators.ts';
import {
  isDryRunWanted,
  limitWaits,
  parsePrefer,
  reservationsFor,
  scopeOf,
  type Preferences,
} from './extensions.ts';
import type { ProcessesBody } from './processes-body.ts';
import { ownerOf, requestContext } from './request-context.ts';
import { logKill, type EventLog } from './request-log.ts';
import {
  allUnknown,
  answerOf,
  isRetryable,
  recall,
  remember,
  sendTermination,
  type RememberedTermination,
} from './termination-wire.ts';
import { sendCapabilities, sendSessions } from './wire.ts';

/** The limits of one request. */
export interface RequestLimits {
  /** The time limit of a request in milliseconds, without the wait that its caller requests. */
  readonly requestTimeoutMs: number;
  /** The longest wait that a caller may request. */
  readonly maxWaitSeconds: number;
  /** The most ids in one DELETE. */
  readonly maxProcesses: number;
  readonly maxBodyBytes: number;
  /** True if a DELETE must have the header X-Kill-Reason. */
  readonly isReasonRequired: boolean;
  /** True if an audit file records the kills. */
  readonly isAudited: boolean;
  /** The most reads of one caller per minute, and the most kills. An address may send ten times as many of each. */
  readonly requestsPerMinute: number;
}

/** The handlers of a node's processes. Each handler runs after its request has passed all checks. */
export interface ProcessesController {
  /** Answers GET …/processes with one page of sessions. */
  readonly list: RequestHandler<PathIds>;
  /** Answers DELETE …/processes: ends sessions, or repeats the response to the same request. */
  readonly terminate: RequestHandler<PathIds, unknown, ProcessesBody>;
  /** Answers GET …/capabilities. */
  readonly capabilities: RequestHandler<PathIds>;
}

/** Creates the handlers of a node's processes. */
export function createProcessesController(
  sessions: SessionService,
  { requestTimeoutMs, maxWaitSeconds }: RequestLimits,
  log: EventLog,
  idempotentResponses: IdempotentResponses,
): ProcessesController {
  const limitWait = limitWaits();

  return {
    async list(req, res) {
      const { offset = 0n, limit = 100, with: field } = matchedData<ListQuery>(req);
      const context = requestContext(res);
      const asked = { caller: ownerOf(context), deadline: context.receivedAt + requestTimeoutMs };
      const page = { offset, limit, withTransactions: field === 'transaction' };
      sendSessions(res, await sessions.list(nodeKey(req.params), page, asked));
    },

    async terminate(req, res) {
      const { receivedAt } = requestContext(res);
      const isDryRun = isDryRunWanted(req);
      const scope = scopeOf(req);
      requestContext(res).isDryRun = isDryRun;
      const preferences = preferencesOf(req, res, isDryRun);
      const waitMs = (preferences.waitSeconds ?? 0) * 1000;
      // The domain checks the effect of each KILL only if the caller requested that. If `waitMs` is 0, it checks once.
      const isEffectWanted =
        preferences.waitSeconds !== undefined || preferences.isRepresentationWanted;
      // The route's steps have checked the body and parsed its ids. `matchedData` would take longer than all checks.
      const { processes, expected = [] } = req.body;

      const runBatch = (): Promise<Termination> =>
        sessions.terminate(nodeKey(req.params), {
          ids: processes,
          expected,
          scope,
          isDryRun,
          areTransactionsWanted: isDryRun && preferences.isRepresentationWanted,
          waitMs: isEffectWanted && !isDryRun ? waitMs : undefined,
          receivedAt,
          deadline: receivedAt + requestTimeoutMs,
          origin: originOf(req, res),
          record: logKill(log, requestContext(res), scope),
        });
      const answer =
        (await terminateOnce(req, res, runBatch, preferences, requestTimeoutMs + waitMs)) ??
        allUnknown(processes, isDryRun);
      sendTermination(res, answer, preferences.isRepresentationWanted, scope);
    },

    async capabilities(req, res) {
      const deadline = requestContext(res).receivedAt + requestTimeoutMs;
      sendCapabilities(res, await sessions.capabilities(nodeKey(req.params), deadline));
    },
  };

  function preferencesOf(req: KillRequest, res: Response, isDryRun: boolean): Preferences {
    const preferences = parsePrefer(req.get('prefer'), maxWaitSeconds);
    // A dry run has nothing to wait for.
    return isDryRun ? { ...preferences, waitSeconds: undefined } : limitWait(preferences, res);
  }

  /**
   * Runs the batch. If the same request came before, returns the response to the earlier request instead. Returns undefined if the earlier
   * request was interrupted, or has no response within `limitMs` milliseconds of the arrival of this request.
   */
  async function terminateOnce(
    req: KillRequest,
    res: Response,
    runBatch: () => Promise<Termination>,
    preferences: Preferences,
    limitMs: number,
  ): Promise<RememberedTermination | undefined> {
    const reservations = reservationsFor(req, res, limitMs);
    if (reservations.length === 0) return answerOf(await runBatch(), preferences);
    const context = requestContext(res);
    // Stays true if `once` returns a remembered answer instead of calling `runAndRemember`.
    context.isRepeated = true;
    const runAndRemember = async (): Promise<string> => {
      context.isRepeated = false;
      const termination = await runBatch();
      const text = remember(termination, preferences);
      if (isRetryable(termination)) throw new NotCacheable(text);
      return text;
    };
    const deadline = context.receivedAt + limitMs;
    const text = await idempotentResponses.once(reservations, runAndRemember, deadline);
    return text === undefined ? undefined : recall(text);
  }
}

interface ListQuery {
  readonly offset?: bigint;
  readonly limit?: number;
  readonly with?: 'transaction';
}

type KillRequest = Request<PathIds, unknown, ProcessesBody>;

function originOf(req: KillRequest, res: Response): Origin {
  const { requestId, traceId, caller, address } = requestContext(res);
  const { user = '', proof = '' } = caller ?? {};
  return { requestId, traceId, caller: user, proof, address, reason: req.get('x-kill-reason') };
}
