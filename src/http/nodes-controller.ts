import type { RequestHandler } from 'express';
import { matchedData } from 'express-validator';
import type { Caller } from '../domain/caller.ts';
import type { Node } from '../domain/node.ts';
import type { SessionService } from '../domain/session-service.ts';
import type { RequestLimits } from './processes-controller.ts';
import { requestContext } from './request-context.ts';
import type { ProjectPathIds } from './route-steps.ts';
import { sendJson } from './wire.ts';

/** The handlers of a project's nodes. Each handler runs after its request has passed all checks. */
export interface NodesController {
  /** Answers GET …/nodes with one page of nodes, the caller's actions and the limits of the service. */
  readonly list: RequestHandler<ProjectPathIds>;
}

/** Creates the handlers of a project's nodes. */
export function createNodesController(
  sessions: SessionService,
  { isReasonRequired, isAudited, requestsPerMinute }: RequestLimits,
): NodesController {
  return {
    list(req, res) {
      const { offset = 0n, limit = 100 } = matchedData<{ offset?: bigint; limit?: number }>(req);
      const { nodes, total } = sessions.nodes(req.params.project_id, { offset, limit });
      const { caller } = requestContext(res);
      sendJson(res, 200, {
        nodes: nodes.map(nodeBody),
        total_count: total,
        caller: caller && callerBody(caller),
        reason_required: isReasonRequired,
        audit: isAudited,
        requests_per_minute: requestsPerMinute,
      });
    },
  };
}

// Each key is listed, so that callers never see hosts, ports or accounts.
function nodeBody({ instanceId, nodeId, name }: Node): object {
  return { instance_id: instanceId, node_id: nodeId, ...(name !== undefined && { name }) };
}

function callerBody({ user, actions }: Caller): object {
  return { user, actions: actions.map((action) => action.slice(action.lastIndexOf(':') + 1)) };
}
