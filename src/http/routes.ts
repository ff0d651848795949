import type { IRouter, Request, Response } from 'express';
import { matchedData } from 'express-validator';
import type { Action, Identity } from '../domain/caller.ts';
import type { Deadline } from '../domain/deadline.ts';
import type { IdempotentResponses } from '../domain/idempotent-responses.ts';
import type { SessionService } from '../domain/session-service.ts';
import { ServiceError } from '../errors.ts';
import { authenticate, permit } from './authenticate.ts';
import { readBody, requireJsonObject } from './body.ts';
import { endSessions } from './end-sessions.ts';
import { methodNotAllowed, methodOnlyGet, refuseContradictoryOverride } from './methods.ts';
import { chain, type Step } from './chain.ts';
import { nodeIds, nodeKey, projectId, type PathIds } from './path-ids.ts';
import { processesBody } from './processes-body.ts';
import { requestContext, ownerOf } from './request-context.ts';
import type { RequestLimits } from './request-limits.ts';
import type { EventLog } from './request-log.ts';
import { limitCaller, type MakeCounters } from './throttle.ts';
import { extensions, killReason, noQuery, page, validate } from './validators.ts';
import { sendCapabilities, sendSessions } from './wire.ts';

const NODE = '/v3/:project_id/instances/:instance_id/nodes/:node_id';
const PROCESSES = `${NODE}/processes`;
const CAPABILITIES = `${NODE}/capabilities`;
const MAX_URI_LENGTH = 8192;

/** Adds the API. What stands first in a line is checked first. */
export function addApiRoutes(
  router: IRouter,
  sessions: SessionService,
  identity: Identity,
  limits: RequestLimits,
  log: EventLog,
  idempotentResponses: IdempotentResponses,
  makeCounters?: MakeCounters,
): void {
  const whole = [chain(refuseContradictoryOverride, limitUri), readBody(limits.maxBodyBytes)];
  const known = [
    authenticate(identity, limits.requestTimeoutMs),
    limitCaller(limits.requestsPerMinute, makeCounters),
  ];
  const may = (action: Action): Step[] => [
    ...known,
    validate(projectId),
    permit(action),
    validate(...nodeIds),
  ];
  const mayList = may('gaussdbformysql:instance:listProcesses');
  const mayKill = may('gaussdbformysql:instance:deleteProcesses');
  const validKill = validate(
    processesBody(limits.maxProcesses),
    ...extensions,
    killReason(limits.isReasonRequired),
  );
  const deadlineOf = (res: Response): Deadline =>
    requestContext(res).receivedAt + limits.requestTimeoutMs;

  router
    .route(PROCESSES)
    .get(...whole, chain(...mayList, validate(...page)), async (req, res) => {
      const { offset = 0n, limit = 100 } = matchedData<{ offset?: bigint; limit?: number }>(req);
      const caller = ownerOf(requestContext(res));
      const asked = { caller, deadline: deadlineOf(res) };
      sendSessions(res, await sessions.list(nodeKey(req.params), { offset, limit }, asked));
    })
    .delete(
      ...whole,
      chain(...mayKill, requireJsonObject, validKill),
      endSessions(sessions, limits, log, idempotentResponses),
    )
    .all(methodNotAllowed);
  router
    .route(CAPABILITIES)
    .get(...whole, chain(...mayList, validate(noQuery)), async (req, res) => {
      sendCapabilities(res, await sessions.capabilities(nodeKey(req.params), deadlineOf(res)));
    })
    .all(methodOnlyGet);
}

function limitUri({ originalUrl }: Request<PathIds>): void {
  if (originalUrl.length > MAX_URI_LENGTH) throw new ServiceError('uri_too_large');
}
