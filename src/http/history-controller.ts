import type { RequestHandler } from 'express';
import { matchedData } from 'express-validator';
import type { KilledSession, KillHistory } from '../domain/kill-history.ts';
import { ServiceError } from '../errors.ts';
import { DEFAULT_PERIOD_MS, type HistoryQuery } from './history-query.ts';
import type { RequestLimits } from './processes-controller.ts';
import { requestContext } from './request-context.ts';
import type { InstancePathIds } from './route-steps.ts';
import { sendJson } from './wire.ts';

/** The handlers of the history of kills. Each runs once everything about its request is valid. */
export interface HistoryController {
  /** Answers GET …/process/kill/history with one page of kills, the newest first. Throws `history_not_found` if there is no audit. */
  readonly list: RequestHandler<InstancePathIds>;
}

/** Creates the handlers. Without a history, there is no audit. */
export function createHistoryController(
  history: KillHistory | undefined,
  { requestTimeoutMs }: Pick<RequestLimits, 'requestTimeoutMs'>,
): HistoryController {
  return {
    async list(req, res) {
      if (history === undefined) throw withoutAudit();
      const query = matchedData<HistoryQuery>(req, { locations: ['query'] });
      const { page_num = 1n, page_size = 10, node_id, user, caller } = query;
      const { project_id, instance_id } = req.params;
      const { kills, readFrom, isReplicaOnly } = await history.read(
        {
          ...{ projectId: project_id, instanceId: instance_id, nodeId: node_id, user, caller },
          from: query.start_time ?? (query.end_time ?? Date.now()) - DEFAULT_PERIOD_MS,
          // A replica whose clock is ahead has kills in the future.
          until: query.end_time ?? Infinity,
        },
        requestContext(res).receivedAt + requestTimeoutMs,
      );
      const page = page_num === 0n ? 0n : page_num - 1n;
      const start = page * BigInt(page_size);
      const shown =
        start < kills.length ? kills.slice(Number(start), Number(start) + page_size) : [];
      sendJson(res, 200, {
        killed_sessions: shown.map(killBody),
        total_count: kills.length,
        complete: readFrom === undefined,
        ...(Number.isFinite(readFrom) && { read_from: readFrom }),
        ...(isReplicaOnly && { replica: true }),
      });
    },
  };
}

// Each key is listed, so that no future field reaches callers by accident.
function killBody(kill: KilledSession): object {
  const { user, host, db, command, time, state, info, outcome, scope, caller } = kill;
  return {
    instance_id: kill.instanceId,
    node_id: kill.nodeId,
    task_id: kill.taskId ?? null,
    session_id: kill.id,
    ...{ user, host, db, command, time, state, info },
    kill_time: kill.killTime,
    killed_source: kill.taskId === undefined ? 'manual' : 'task',
    ...{ outcome, scope, caller },
    reason: kill.reason ?? null,
    request_id: kill.requestId,
  };
}

function withoutAudit(): ServiceError {
  return new ServiceError('history_not_found', {
    'en-us': 'The service records no kills: its operator can set audit.file.',
    'zh-cn': '该服务未记录终止操作：管理员可设置audit.file。',
  });
}
