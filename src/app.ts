import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import express, { type Request, type Response } from 'express';
import helmet from 'helmet';
import type { Audit } from './domain/termination.ts';
import type { IdempotentResponses } from './domain/idempotent-responses.ts';
import type { Identity } from './domain/caller.ts';
import type { KillHistory } from './domain/kill-history.ts';
import type { SessionService } from './domain/session-service.ts';
import { limitConcurrency } from './http/admission.ts';
import { consoleRoutes } from './http/console-routes.ts';
import { clientAddress, networkOf, type TrustsProxy } from './http/client-address.ts';
import { meterAdmitted, meterRequests, type RequestMeter } from './http/metering.ts';
import { createExpressPrototypes, type App } from './http/express-prototypes.ts';
import type { RequestLimits } from './http/processes-controller.ts';
import { docsRoutes, healthRoutes, type Readiness } from './http/public-routes.ts';
import { requestContext, languageOf, newRequestId, traceIdOf } from './http/request-context.ts';
import { afterAnswers, logRequest, type EventLog } from './http/request-log.ts';
import { overrideMethod } from './http/route-steps.ts';
import { addApiRoutes } from './http/routes.ts';
import { requireStrictHttp, withReadableUrl } from './http/strict-http.ts';
import { limitAddress, type MakeCounters } from './http/throttle.ts';
import { parseQuery } from './http/query-validators.ts';
import { answerError, noSuchApi } from './http/wire.ts';

const MAX_AT_ONCE = 1024;
/** The limit at the start. It lets a hundred concurrent callers work without waiting for each other. */
const PLACES = 192;
/** With 32 or 128 requests in progress, fewer requests complete per second (measured in docs/scale.md). */
const MAX_WHEN_BUSY = 64;

/** The dependencies of the app. */
export interface AppDependencies {
  readonly sessions: SessionService;
  readonly identity: Identity;
  readonly limits: RequestLimits;
  readonly log: EventLog;
  readonly idempotentResponses: IdempotentResponses;
  readonly audit: Audit;
  /** The history of kills; undefined if there is no audit. */
  readonly history?: KillHistory | undefined;
  readonly readiness: () => Promise<Readiness>;
  /** The folder of the page for people; undefined if the page is switched off. */
  readonly consoleFolder?: URL | undefined;
  /** Creates the counters of the request limits; in memory by default. */
  readonly makeCounters?: MakeCounters | undefined;
  /** Records each request in the metrics. */
  readonly meter?: RequestMeter | undefined;
  /** The proxies that may name the client's address, in the format of Express's setting `trust proxy`. */
  readonly trustProxy: boolean | number | string;
}

/** Creates the HTTP side of the service: the middleware in its order. Does not listen, and does not read the environment. */
export function createApp({
  sessions,
  identity,
  limits,
  log: events,
  idempotentResponses,
  audit,
  history,
  readiness,
  consoleFolder,
  makeCounters,
  meter,
  trustProxy,
}: AppDependencies): App {
  const log = afterAnswers(events);
  const app = express();
  app.disable('etag');
  app.disable('x-powered-by');
  const expressPrototypes = createExpressPrototypes(app);
  app.set('trust proxy', trustProxy);
  app.set('query parser', parseQuery);
  app.enable('case sensitive routing');
  app.enable('strict routing');
  const health = healthRoutes(readiness);
  const begin = beginRequest(log);
  // Express derives this function from the setting `trust proxy`.
  const trustsProxy = app.get('trust proxy fn') as TrustsProxy;
  const open = openContext(securityHeaders(), trustsProxy);
  const limit = limitAddress(limits.requestsPerMinute, makeCounters);
  // One handler instead of three: a further Express handler would cost as much time as its own work.
  app.use((req, res, next) => {
    open(req, res);
    // Probes are handled before the request log begins: a probe arrives every second, and gets no log line.
    health(req, res, (error?: unknown) => {
      if (error !== undefined) {
        next(error);
        return;
      }
      begin(req, res);
      // The limit applies before the body is read, and also to paths without a route.
      limit(req, res).then(() => {
        next();
      }, next);
    });
  });
  addApiRoutes(app, sessions, identity, limits, log, idempotentResponses, makeCounters, history);
  app.use(docsRoutes(consoleFolder !== undefined));
  if (consoleFolder !== undefined) app.use(consoleRoutes(consoleFolder));
  app.use(noSuchApi);
  app.use(answerError(audit));
  const { requestTimeoutMs } = limits;
  const answer = withReadableUrl(app as RequestListener);
  const admission = {
    most: MAX_AT_ONCE,
    places: PLACES,
    mostWhenBusy: MAX_WHEN_BUSY,
    requestTimeoutMs,
    log,
  };
  const listener =
    meter === undefined
      ? limitConcurrency(answer, admission)
      : meterRequests(limitConcurrency(meterAdmitted(answer, meter), admission), meter);
  return Object.assign(listener, { expressPrototypes });
}

function openContext(
  headers: ReturnType<typeof securityHeaders>,
  trustsProxy: TrustsProxy,
): (req: Request, res: Response) => void {
  return (req, res) => {
    for (const [name, value] of headers) res.setHeader(name, value);
    const context = requestContext(res);
    context.requestId = newRequestId();
    context.language = languageOf(req.headers);
    // Read at the start: a closed socket has no address.
    context.address = clientAddress(req, trustsProxy);
    context.network = networkOf(context.address);
    context.wireMethod = req.method;
    context.traceId = traceIdOf(req.headers['traceparent']);
    res.setHeader('X-Request-Id', context.requestId);
    res.setHeader('Cache-Control', 'no-store');
  };
}

function beginRequest(log: EventLog): (req: Request, res: Response) => void {
  const logIt = logRequest(log);
  return (req, res) => {
    logIt(req, res);
    requireStrictHttp(req);
    overrideMethod(req);
  };
}

// Helmet sets the same headers on each response. Calling it per request takes three times as long.
function securityHeaders(): readonly (readonly [name: string, value: string])[] {
  const headers: [string, string][] = [];
  const res = {
    setHeader: (name: string, value: string) => headers.push([name, value]),
    removeHeader: () => undefined,
  };
  helmet()({} as IncomingMessage, res as unknown as ServerResponse, () => undefined);
  return headers;
}
