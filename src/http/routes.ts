import { Router, type RequestHandler } from 'express';
import { matchedData } from 'express-validator';
import type { Origin } from '../domain/audit.ts';
import type { Identity } from '../domain/caller.ts';
import { Unkept, type FirstAnswers } from '../domain/first-answers.ts';
import type { NodeKey } from '../domain/node.ts';
import type { Termination } from '../domain/termination.ts';
import type { SessionService } from '../domain/session-service.ts';
import { ServiceError } from '../errors.ts';
import { authenticate, permit } from './authenticate.ts';
import { readBody, requireJsonObject } from './body.ts';
import { refuseContradictoryOverride } from './method-override.ts';
import { expectations } from './expected.ts';
import { limitWaits, parsePrefer } from './prefer.ts';
import { processesBody } from './processes-body.ts';
import { reservationsFor } from './reservations.ts';
import {
  allUnknown,
  answerOf,
  isInVain,
  recall,
  remember,
  sendTermination,
} from './termination-wire.ts';
import { facts, ownerOf, type RequestFacts } from './request-facts.ts';
import { logKill, type EventLog } from './request-log.ts';
import { limitAddress, limitCaller, type MakeCounters } from './throttle.ts';
import { extensions, killReason, noQuery, page, validate, type PathIds } from './validators.ts';
import { sendCapabilities, sendSessions } from './wire.ts';

/** How much one request may ask for. */
export interface RequestLimits {
  /** The whole request, without a wait that was asked for. */
  readonly requestTimeoutMs: number;
  /** The longest wait that a caller may ask for. */
  readonly maxWaitSeconds: number;
  readonly maxProcesses: number;
  readonly maxBodyBytes: number;
  /** Whether a DELETE must say why. */
  readonly isReasonRequired: boolean;
  /** A caller; an address may use ten times as many. */
  readonly requestsPerMinute: number;
}

interface DeleteRequest extends PathIds {
  readonly processes: readonly bigint[];
  readonly expected?: unknown;
  readonly dry_run?: string;
  readonly 'x-kill-reason'?: string;
}

const NODE = '/v3/:project_id/instances/:instance_id/nodes/:node_id';
const PROCESSES = `${NODE}/processes`;
const CAPABILITIES = `${NODE}/capabilities`;
const MAX_URI_LENGTH = 8192;

/** The API. What stands first in a line is checked first. */
export function apiRoutes(
  sessions: SessionService,
  identity: Identity,
  limits: RequestLimits,
  log: EventLog,
  firstAnswers: FirstAnswers,
  makeCounters?: MakeCounters,
): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const known = [
    limitUri,
    readBody(limits.maxBodyBytes),
    limitAddress(limits.requestsPerMinute, makeCounters),
    authenticate(identity, limits.requestTimeoutMs),
    limitCaller(limits.requestsPerMinute, makeCounters),
  ];
  const withinReason = limitWaits();
  const mayList = permit('gaussdbformysql:instance:listProcesses');
  const mayKill = permit('gaussdbformysql:instance:deleteProcesses');
  const validPage = validate(...page);
  const validKill = validate(
    processesBody(limits.maxProcesses),
    ...extensions,
    killReason(limits.isReasonRequired),
  );

  router
    .route(PROCESSES)
    .all(refuseContradictoryOverride)
    .get(...known, mayList, validPage, async (req, res) => {
      const { offset, limit, ...ids } = matchedData<PathIds & { offset?: bigint; limit?: number }>(
        req,
      );
      const found = await sessions.list(
        nodeKey(ids),
        { offset: offset ?? 0n, limit: limit ?? 100 },
        { caller: ownerOf(facts(res)), deadline: facts(res).receivedAt + limits.requestTimeoutMs },
      );
      sendSessions(res, found);
    })
    .delete(...known, mayKill, requireJsonObject, validKill, async (req, res) => {
      const { processes, expected, dry_run, ...more } = matchedData<DeleteRequest>(req);
      const { 'x-kill-reason': reason, ...ids } = more;
      const isDryRun = dry_run === 'true';
      const prefer = isDryRun ? undefined : req.get('prefer');
      const wanted = withinReason(parsePrefer(prefer, limits.maxWaitSeconds), res);
      const waitMs = (wanted.waitSeconds ?? 0) * 1000;
      const limitMs = limits.requestTimeoutMs + waitMs;
      const isLookWanted = wanted.waitSeconds !== undefined || wanted.isRepresentationWanted;
      const { receivedAt } = facts(res);
      const terminate = (): Promise<Termination> =>
        sessions.terminate(nodeKey(ids), {
          ids: processes,
          expected: expectations(expected ?? []),
          isDryRun,
          waitMs: isLookWanted ? waitMs : undefined,
          receivedAt,
          deadline: receivedAt + limits.requestTimeoutMs,
          origin: originOf(facts(res), reason),
          record: logKill(log, facts(res)),
        });
      const reservations = reservationsFor(req, res, limitMs);
      if (reservations.length === 0) {
        sendTermination(res, answerOf(await terminate(), wanted), wanted.isRepresentationWanted);
        return;
      }
      let isRepeated = true;
      const work = async (): Promise<string> => {
        isRepeated = false;
        const termination = await terminate();
        const text = remember(termination, wanted);
        if (isInVain(termination)) throw new Unkept(text);
        return text;
      };
      const answer = await firstAnswers.once(reservations, work, receivedAt + limitMs);
      facts(res).isRepeated = isRepeated;
      const termination = answer === undefined ? allUnknown(processes, isDryRun) : recall(answer);
      sendTermination(res, termination, wanted.isRepresentationWanted);
    })
    .all(methodNotAllowed);
  router
    .route(CAPABILITIES)
    .all(refuseContradictoryOverride)
    .get(...known, mayList, validate(noQuery), async (req, res) => {
      const key = nodeKey(matchedData<PathIds>(req));
      const deadline = facts(res).receivedAt + limits.requestTimeoutMs;
      sendCapabilities(res, await sessions.capabilities(key, deadline));
    })
    .all(methodOnlyGet);
  return router;
}

const limitUri: RequestHandler = (req, _res, next) => {
  if (req.originalUrl.length > MAX_URI_LENGTH) throw new ServiceError('uri_too_large');
  next();
};

const methodNotAllowed: RequestHandler = (_req, res) => {
  res.set('Allow', 'DELETE, GET, HEAD');
  throw new ServiceError('method_not_allowed');
};

const methodOnlyGet: RequestHandler = (_req, res) => {
  res.set('Allow', 'GET, HEAD');
  throw new ServiceError('method_not_allowed');
};

function originOf(
  { requestId, traceId, caller, address }: RequestFacts,
  reason: string | undefined,
): Origin {
  const { user = '', proof = '' } = caller ?? {};
  return { requestId, traceId, caller: user, proof, address, reason };
}

function nodeKey({ project_id, instance_id, node_id }: PathIds): NodeKey {
  return { projectId: project_id, instanceId: instance_id, nodeId: node_id };
}
