import type { IRouter, Request } from 'express';
import { authorize, type Action, type Identity } from '../domain/caller.ts';
import { withDeadline } from '../domain/deadline.ts';
import type { IdempotentResponses } from '../domain/idempotent-responses.ts';
import type { KillHistory } from '../domain/kill-history.ts';
import type { SessionService } from '../domain/session-service.ts';
import { ServiceError } from '../errors.ts';
import { readBody, requireJsonObject } from './body.ts';
import { keepHash } from './extensions.ts';
import { createHistoryController } from './history-controller.ts';
import { historyQuery } from './history-query.ts';
import { createLocksController } from './locks-controller.ts';
import { createNodesController } from './nodes-controller.ts';
import { processesBody } from './processes-body.ts';
import { createProcessesController, type RequestLimits } from './processes-controller.ts';
import { noQuery, page, pageWithTransactions, waitingPid } from './query-validators.ts';
import { createReadsController } from './reads-controller.ts';
import { requestContext } from './request-context.ts';
import type { EventLog } from './request-log.ts';
import {
  chain,
  methodNotAllowed,
  methodOnlyGet,
  refuseContradictoryOverride,
  refuseOverrideOfGet,
  validate,
  type InstancePathIds,
  type ProjectPathIds,
  type Step,
} from './route-steps.ts';
import { limitCaller, type MakeCounters } from './throttle.ts';
import { extensions, instanceId, killReason, nodeIds, projectId, sessionId } from './validators.ts';

const NODES = '/v3/:project_id/nodes';
const NODE = '/v3/:project_id/instances/:instance_id/nodes/:node_id';
const PROCESSES = `${NODE}/processes`;
const PROCESS = `${PROCESSES}/:process_id`;
const SUMMARY = `${NODE}/summary`;
const CAPABILITIES = `${NODE}/capabilities`;
const LOCK_WAIT = `${NODE}/process/lock-wait`;
const BLOCKERS = `${NODE}/blockers`;
const HISTORY = '/v3/:project_id/instances/:instance_id/process/kill/history';
const MAX_URI_LENGTH = 8192;

/** Adds the routes of the API. The steps of a route run in the order of its line. */
export function addApiRoutes(
  router: IRouter,
  sessions: SessionService,
  identity: Identity,
  limits: RequestLimits,
  log: EventLog,
  idempotentResponses: IdempotentResponses,
  makeCounters?: MakeCounters,
  history?: KillHistory,
): void {
  const readWhole = readBody(limits.maxBodyBytes);
  const readable = [chain(refuseContradictoryOverride, limitUri), readWhole];
  const readableGet = [chain(refuseOverrideOfGet, limitUri), readWhole];
  const identified = [
    authenticate(identity, limits.requestTimeoutMs),
    limitCaller(limits.requestsPerMinute, makeCounters),
  ];
  const may = (action: Action): Step<ProjectPathIds>[] => [
    ...identified,
    validate(projectId),
    permit(action),
  ];
  const mayListNodes = may('gaussdbformysql:instance:listProcesses');
  const mayList = [...mayListNodes, validate(...nodeIds)];
  const mayKill = [...may('gaussdbformysql:instance:deleteProcesses'), validate(...nodeIds)];
  const mayGet: Step<InstancePathIds>[] = [
    ...may('gaussdbformysql:instance:get'),
    validate<InstancePathIds>(instanceId),
  ];
  const validKill = validate(
    processesBody(limits.maxProcesses),
    ...extensions,
    killReason(limits.isReasonRequired),
  );
  const reads = createReadsController(sessions, limits);
  const controller = createProcessesController(sessions, limits, log, idempotentResponses);
  const nodesController = createNodesController(sessions, limits);
  const locks = createLocksController(sessions.locks, limits);
  const historyController = createHistoryController(history, limits);

  router
    .route(PROCESSES)
    .get(...readable, chain(...mayList, validate(...pageWithTransactions)), controller.list)
    .delete(...readable, chain(...mayKill, requireJsonObject, validKill), controller.terminate)
    .all(methodNotAllowed);
  router
    .route(PROCESS)
    .get(...readableGet, chain(...mayList, validate(sessionId, noQuery)), reads.session)
    .all(methodOnlyGet);
  router
    .route(SUMMARY)
    .get(...readableGet, chain(...mayList, validate(noQuery)), reads.summary)
    .all(methodOnlyGet);
  router
    .route(CAPABILITIES)
    .get(...readableGet, chain(...mayList, validate(noQuery)), controller.capabilities)
    .all(methodOnlyGet);
  router
    .route(NODES)
    .get(...readableGet, chain(...mayListNodes, validate(...page)), nodesController.list)
    .all(methodOnlyGet);
  router
    .route(LOCK_WAIT)
    .get(...readableGet, chain(...mayList, validate(...waitingPid)), locks.lockWait)
    .all(methodOnlyGet);
  router
    .route(BLOCKERS)
    .get(...readableGet, chain(...mayList, validate(noQuery)), locks.blockers)
    .all(methodOnlyGet);
  router
    .route(HISTORY)
    .get(...readableGet, chain(...mayGet, validate(...historyQuery)), historyController.list)
    .all(methodOnlyGet);
}

function limitUri({ originalUrl }: Request<ProjectPathIds>): void {
  if (originalUrl.length > MAX_URI_LENGTH) throw new ServiceError('uri_too_large');
}

/**
 * Returns a step that authenticates the caller. Needs the raw body, which a signature covers. Throws `iam_unavailable` if authentication
 * takes longer than `limitMs` milliseconds from the arrival of the request.
 */
function authenticate(identity: Identity, limitMs: number): Step<ProjectPathIds> {
  return async (req, res) => {
    const body = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
    const proving = identity.authenticate({
      token: req.get('x-auth-token'),
      request: {
        method: requestContext(res).wireMethod,
        target: req.originalUrl,
        rawHeaders: req.rawHeaders,
        body,
        address: requestContext(res).network,
      },
    });
    const caller =
      proving instanceof Promise
        ? await withDeadline(requestContext(res).receivedAt + limitMs, proving, tooLate)
        : proving;
    requestContext(res).caller = caller;
    keepHash(req, res, caller, body);
  };
}

function tooLate(): ServiceError {
  return new ServiceError('iam_unavailable');
}

/** Returns a step that throws `project_denied` or `action_denied` unless the caller may do the action in the project of the path. */
function permit(action: Action): Step<ProjectPathIds> {
  return (req, res) => {
    const { caller } = requestContext(res);
    if (caller === undefined) throw new ServiceError('unauthenticated');
    const { project_id } = req.params;
    // The SDKs also sign a header with the project: a request that names two projects is a mistake.
    const signedProject = caller.signature === undefined ? undefined : req.get('x-project-id');
    if ((signedProject ?? project_id) !== project_id) throw new ServiceError('project_denied');
    authorize(caller, project_id, action);
  };
}
