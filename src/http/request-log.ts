import type { Request, Response } from 'express';
import type { Kill, Scope } from '../domain/termination.ts';
import type { ServiceError } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import { requestContext, statusOf, type RequestContext } from './request-context.ts';

const COUNT_INTERVAL_MS = 1000;

/** The severity of an event. */
export type Level = 'error' | 'warn' | 'info' | 'debug';

/** A log of events, such as a winston logger. Leaves out fields that are undefined. */
export interface EventLog {
  log(level: Level, message: string, fields: object): unknown;
}

/** Returns a log that writes its lines to `log` after the current turn of the event loop, so that the response is sent first. */
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

/** Returns a function that logs one line for a request once it is answered, or once its client disconnects. */
export function logRequest(log: EventLog): (req: Request, res: Response) => void {
  return (req, res) => {
    const begun = performance.now();
    const path = pathOf(req.originalUrl);
    // At most six characters: a caller that confuses its two keys sends the secret key here.
    const claimedKey = /(?:Access|Credential)=([^,\s/]{1,6})/.exec(
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
        claimed_access_key: status === 401 ? claimedKey : undefined,
        error_code: error && ERROR_TABLE[error.code].error_code,
        reason: error && reasonOf(error),
        error: status >= 500 ? error : undefined,
        client_gone: res.writableFinished || (error && !res.headersSent) ? undefined : true,
      });
    });
  };
}

/**
 * Returns a function that counts its calls and logs the count, at most once per second. Under overload, a line per call would cost too much.
 */
export function logCount(log: EventLog, message: string): () => void {
  let count = 0;
  return () => {
    count += 1;
    if (count > 1) return;
    setTimeout(() => {
      log.log('warn', message, { count });
      count = 0;
    }, COUNT_INTERVAL_MS).unref();
  };
}

/** Returns a function that logs one line for a KILL: its caller, its session and its outcome. */
export function logKill(
  log: EventLog,
  { requestId, traceId, caller }: RequestContext,
  scope?: Scope,
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
      scope,
      outcome,
      error: trouble,
    });
  };
}

// The text that a caller signed, or sent as an access key, can hold a secret.
function reasonOf({ message }: ServiceError): string {
  return message
    .replace(/(, )?canonicalRequest:.*/s, '')
    .replace(/^ak \S+ not exist/, 'ak not exist');
}

function levelOf(status: number, error: ServiceError | undefined): Level {
  // An operator must act: on a fault of the service, or on a service token that IAM refuses.
  if (error?.code === 'internal' || error?.code === 'service_token_refused') return 'error';
  // The service is degraded, or has refused a caller.
  return status >= 500 || status === 401 || status === 403 || status === 429 ? 'warn' : 'info';
}

/** Returns the first 256 characters of a URL's path. Leaves out the query, which can hold a secret by mistake. */
export function pathOf(url: string): string {
  return (url.split('?', 1)[0] ?? '').slice(0, 256);
}
