import { Router, type RequestHandler } from 'express';
import { matchedData } from 'express-validator';
import type { Identity } from '../domain/caller.ts';
import type { FirstAnswers } from '../domain/first-answers.ts';
import type { SessionService } from '../domain/session-service.ts';
import { ServiceError } from '../errors.ts';
import { authenticate, permit } from './authenticate.ts';
import { readBody, requireJsonObject } from './body.ts';
import { endSessions } from './end-sessions.ts';
import { methodNotAllowed, methodOnlyGet, refuseContradictoryOverride } from './methods.ts';
import { nodeKey, type PathIds } from './path-ids.ts';
import { processesBody } from './processes-body.ts';
import { facts, ownerOf } from './request-facts.ts';
import type { RequestLimits } from './request-limits.ts';
import type { EventLog } from './request-log.ts';
import { limitAddress, limitCaller, type MakeCounters } from './throttle.ts';
import { extensions, killReason, noQuery, page, validate } from './validators.ts';
import { sendCapabilities, sendSessions } from './wire.ts';

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
  const end = endSessions(sessions, limits, log, firstAnswers);
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
    .delete(...known, mayKill, requireJsonObject, validKill, end)
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
