import { Router, type RequestHandler } from 'express';
import { matchedData } from 'express-validator';
import type { Identity } from '../domain/caller.ts';
import { FirstAnswers } from '../domain/first-answers.ts';
import type { NodeKey } from '../domain/node.ts';
import type { SessionService } from '../domain/session-service.ts';
import { ServiceError } from '../errors.ts';
import { authenticate, permit } from './authenticate.ts';
import { readBody, requireJsonObject } from './body.ts';
import { refuseContradictoryOverride } from './method-override.ts';
import { facts } from './request-facts.ts';
import { logKill, type EventLog } from './request-log.ts';
import { limitAddress, limitCaller } from './throttle.ts';
import {
  instanceAndNodeId,
  noExtensions,
  page,
  processesBody,
  validate,
  type PathIds,
} from './validators.ts';
import { sendSessions, sendTermination } from './wire.ts';

/** How much one request may ask for. */
export interface RequestLimits {
  readonly maxProcesses: number;
  readonly maxBodyBytes: number;
  /** A caller; an address may use ten times as many. */
  readonly requestsPerMinute: number;
}

const PROCESSES = '/v3/:project_id/instances/:instance_id/nodes/:node_id/processes';
const MAX_URI_LENGTH = 8192;

/** The API. What stands first in a line is checked first. */
export function apiRoutes(
  sessions: SessionService,
  identity: Identity,
  limits: RequestLimits,
  log: EventLog,
): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const firstAnswers = new FirstAnswers();
  const known = [
    limitUri,
    readBody(limits.maxBodyBytes),
    limitAddress(limits.requestsPerMinute),
    authenticate(identity),
    limitCaller(limits.requestsPerMinute),
  ];
  const mayList = permit('gaussdbformysql:instance:listProcesses');
  const mayKill = permit('gaussdbformysql:instance:deleteProcesses');
  const validPage = validate(...instanceAndNodeId, ...page);
  const validIds = validate(...instanceAndNodeId);
  const validKill = validate(...processesBody(limits.maxProcesses), ...noExtensions);

  router
    .route(PROCESSES)
    .all(refuseContradictoryOverride)
    .get(...known, mayList, validPage, async (req, res) => {
      const { offset, limit, ...ids } = matchedData<PathIds & { offset?: bigint; limit?: number }>(
        req,
      );
      const found = await sessions.list(nodeKey(ids), {
        offset: offset ?? 0n,
        limit: limit ?? 100,
      });
      sendSessions(res, found);
    })
    .delete(...known, mayKill, validIds, requireJsonObject, validKill, async (req, res) => {
      const { processes, ...ids } = matchedData<PathIds & { processes: bigint[] }>(req);
      const record = logKill(log, facts(res));
      const termination = await firstAnswers.once(facts(res).caller?.signature, processes, () =>
        sessions.terminate(nodeKey(ids), processes, record),
      );
      sendTermination(res, termination);
    })
    .all(methodNotAllowed);
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

function nodeKey({ project_id, instance_id, node_id }: PathIds): NodeKey {
  return { projectId: project_id, instanceId: instance_id, nodeId: node_id };
}
