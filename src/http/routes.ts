import type { IRouter, Request } from 'express';
import type { Action, Identity } from '../domain/caller.ts';
import type { IdempotentResponses } from '../domain/idempotent-responses.ts';
import type { SessionService } from '../domain/session-service.ts';
import { ServiceError } from '../errors.ts';
import { authenticate, permit } from './authenticate.ts';
import { readBody, requireJsonObject } from './body.ts';
import { processesBody } from './processes-body.ts';
import { createProcessesController, type RequestLimits } from './processes-controller.ts';
import type { EventLog } from './request-log.ts';
import {
  chain,
  methodNotAllowed,
  methodOnlyGet,
  refuseContradictoryOverride,
  validate,
  type PathIds,
  type Step,
} from './route-steps.ts';
import { limitCaller, type MakeCounters } from './throttle.ts';
import { extensions, killReason, nodeIds, noQuery, page, projectId } from './validators.ts';

const NODE = '/v3/:project_id/instances/:instance_id/nodes/:node_id';
const PROCESSES = `${NODE}/processes`;
const CAPABILITIES = `${NODE}/capabilities`;
const MAX_URI_LENGTH = 8192;

/** Adds the API's routes. Steps run in the order in which they stand in the line. */
export function addApiRoutes(
  router: IRouter,
  sessions: SessionService,
  identity: Identity,
  limits: RequestLimits,
  log: EventLog,
  idempotentResponses: IdempotentResponses,
  makeCounters?: MakeCounters,
): void {
  const readable = [chain(refuseContradictoryOverride, limitUri), readBody(limits.maxBodyBytes)];
  const identified = [
    authenticate(identity, limits.requestTimeoutMs),
    limitCaller(limits.requestsPerMinute, makeCounters),
  ];
  const may = (action: Action): Step[] => [
    ...identified,
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
  const controller = createProcessesController(sessions, limits, log, idempotentResponses);

  router
    .route(PROCESSES)
    .get(...readable, chain(...mayList, validate(...page)), controller.list)
    .delete(...readable, chain(...mayKill, requireJsonObject, validKill), controller.terminate)
    .all(methodNotAllowed);
  router
    .route(CAPABILITIES)
    .get(...readable, chain(...mayList, validate(noQuery)), controller.capabilities)
    .all(methodOnlyGet);
}

function limitUri({ originalUrl }: Request<PathIds>): void {
  if (originalUrl.length > MAX_URI_LENGTH) throw new ServiceError('uri_too_large');
}
