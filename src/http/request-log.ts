import type { Request, Response } from 'express';
import type { Kill } from '../domain/termination.ts';
import type { ServiceError } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import { requestContext, statusOf, type RequestContext } from './request-context.ts';

const TELL_EVERY_MS = 1000;

export type Level = 'error' | 'warn' | 'info' | 'debug';

/** Where events go: a winston logger is one. Fields that are undefined are left out. */
export interface EventLog {
  log(level: Level, message: string, fields: object): unknown;
}

/** The same log, in which lines are written after what is under way in this turn of the event loop: the answer goes out first. */
export function afterAnswers(log: EventLog): EventLog {
  let waiting: Parameters<EventLog['log']>[] = [];
  const write = (): void => {
    const lines = waiting;
    waiting = [];
    for (const line of lines) log.log(...line);
  };
  return {
    log(...line) {
      if (waiting.length === 0) setImmediate(write);
      waiting.push(line);
    },
  };
}

/** One line a request, when it has been answered or its client has gone. */
export function logRequest(log: EventLog): (req: Request, res: Response) => void {
  return (req, res) => {
    const begun = performance.now();
    const path = pathOf(req.originalUrl);
    // Only its beginning: whoever mixes up the keys sends the secret one here.
    const claimed = /(?:Access|Credential)=([^,\s/]{1,6})/.exec(
      req.get('authorization') ?? '',
    )?.[1];
    res.once('close', () => {
      const { requestId, traceId, wireMethod, address, caller, error, counts } =
        requestContext(res);
      const { isDryRun, isRepeated } = requestContext(res);
      const status = statusOf(res);
      log.log(levelOf(status, error), 'request', {
        request_id: requestId,
        trace_id: traceId,
        method: wireMethod,
        path,
        status,
        duration_ms: Math.round(performance.now() - begun),
        address,
        caller: caller?.user,
        project_id: caller?.projectId,
        proof: caller?.proof,
        ...counts,
        dry_run: isDryRun === true ? true : undefined,
        repeated: isRepeated === true ? true : undefined,
        claimed_access_key: status === 401 ? claimed : undefined,
        error_code: error && ERROR_TABLE[error.code].error_code,
        reason: error && reasonOf(error),
        error: status >= 500 ? error : undefined,
        client_gone: res.writableFinished || (error && !res.headersSent) ? undefined : true,
      });
    });
  };
}

/** Makes what logs how often it was called: one line a second at most, where one a call would cost what is short. */
export function logCount(log: EventLog, message: string): () => void {
  let count = 0;
  return () => {
    count += 1;
    if (count > 1) return;
    setTimeout(() => {
      log.log('warn', message, { count });
      count = 0;
    }, TELL_EVERY_MS).unref();
  };
}

/** One line a KILL: who ended which session of whom, and what came of it. */
export function logKill(
  log: EventLog,
  { requestId, traceId, caller }: RequestContext,
): (kill: Kill) => void {
  return ({ node, session, outcome, trouble }) => {
    log.log(outcome === 'killed' ? 'info' : 'warn', 'kill', {
      request_id: requestId,
      trace_id: traceId,
      caller: caller?.user,
      project_id: node.projectId,
      instance_id: node.instanceId,
      node_id: node.nodeId,
      session_id: session.id.toString(),
      session_user: session.user,
      session_host: session.host,
      outcome,
      error: trouble,
    });
  };
}

// What a caller signed, or took for a key, can hold a secret.
function reasonOf({ message }: ServiceError): string {
  return message
    .replace(/(, )?canonicalRequest:.*/s, '')
    .replace(/^ak \S+ not exist/, 'ak not exist');
}

function levelOf(status: number, error: ServiceError | undefined): Level {
  // Somebody must act: on a fault of ours, or on a service token that IAM no longer takes.
  if (error?.code === 'internal' || error?.code === 'service_token_refused') return 'error';
  // Degraded, or somebody whom we turned away.
  return status >= 500 || status === 401 || status === 403 || status === 429 ? 'warn' : 'info';
}

// The query is left out: a caller may have put a secret there by mistake.
export function pathOf(url: string): string {
  return (url.split('?', 1)[0] ?? '').slice(0, 256);
}
