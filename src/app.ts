import type { RequestListener } from 'node:http';
import express, { type Request, type Response } from 'express';
import type { Audit } from './domain/audit.ts';
import type { IdempotentResponses } from './domain/idempotent-responses.ts';
import type { Identity } from './domain/caller.ts';
import type { SessionService } from './domain/session-service.ts';
import { limitAtOnce } from './http/admission.ts';
import { answerError, noSuchApi } from './http/answer-error.ts';
import { clientAddress, networkOf, type TrustsProxy } from './http/client-address.ts';
import { docsRoutes } from './http/docs.ts';
import { healthRoutes, type Readiness } from './http/health.ts';
import { meterLetIn, meterRequests, type RequestMeter } from './http/metering.ts';
import { messagesOf, type App } from './http/messages.ts';
import { overrideMethod } from './http/methods.ts';
import { facts, languageOf, newRequestId, traceIdOf } from './http/request-facts.ts';
import { afterAnswers, logRequest, type EventLog } from './http/request-log.ts';
import type { RequestLimits } from './http/request-limits.ts';
import { addApiRoutes } from './http/routes.ts';
import { securityHeaders } from './http/security-headers.ts';
import { requireSoundHttp, withReadableUrl } from './http/sound-http.ts';
import { limitAddress, type MakeCounters } from './http/throttle.ts';
import { parseQuery } from './http/validators.ts';

const MAX_AT_ONCE = 1024;
/** So that a hundred callers at once need not wait for each other. */
const PLACES = 192;
/** Measured (docs/scale.md): with twice as many or half as many under way less gets done. */
const MAX_WHEN_BUSY = 64;

/** What the app is made of. */
export interface AppParts {
  readonly sessions: SessionService;
  readonly identity: Identity;
  readonly limits: RequestLimits;
  readonly log: EventLog;
  readonly idempotentResponses: IdempotentResponses;
  readonly audit: Audit;
  readonly readiness: () => Promise<Readiness>;
  /** Where requests are counted; in memory by default. */
  readonly makeCounters?: MakeCounters | undefined;
  /** Hears of requests; nobody by default. */
  readonly meter?: RequestMeter | undefined;
  /** Express's setting: whom to believe about the client's address. */
  readonly trustProxy: boolean | number | string;
}

/** The HTTP side of the service, the middleware in its order. It neither listens nor reads the environment. */
export function createApp({
  sessions,
  identity,
  limits,
  log: events,
  idempotentResponses,
  audit,
  readiness,
  makeCounters,
  meter,
  trustProxy,
}: AppParts): App {
  const log = afterAnswers(events);
  const app = express();
  app.disable('etag');
  app.disable('x-powered-by');
  const messages = messagesOf(app);
  app.set('trust proxy', trustProxy);
  app.set('query parser', parseQuery);
  app.enable('case sensitive routing');
  app.enable('strict routing');
  const health = healthRoutes(readiness);
  const begin = beginRequest(log);
  // Express makes it of its setting.
  const trustsProxy = app.get('trust proxy fn') as TrustsProxy;
  const name = nameRequest(securityHeaders(), trustsProxy);
  const limit = limitAddress(limits.requestsPerMinute, makeCounters);
  // One step and not three: each that Express walks takes as long as what is done in it.
  app.use((req, res, next) => {
    name(req, res);
    // Before the log: probes come every second.
    health(req, res, (error?: unknown) => {
      if (error !== undefined) {
        next(error);
        return;
      }
      begin(req, res);
      // Before a body is read, and for what no route takes, too.
      limit(req, res).then(() => {
        next();
      }, next);
    });
  });
  addApiRoutes(app, sessions, identity, limits, log, idempotentResponses, makeCounters);
  app.use(docsRoutes());
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
      ? limitAtOnce(answer, admission)
      : meterRequests(limitAtOnce(meterLetIn(answer, meter), admission), meter);
  return Object.assign(listener, { messages });
}

function nameRequest(
  headers: ReturnType<typeof securityHeaders>,
  trustsProxy: TrustsProxy,
): (req: Request, res: Response) => void {
  return (req, res) => {
    for (const [name, value] of headers) res.setHeader(name, value);
    const known = facts(res);
    known.requestId = newRequestId();
    known.language = languageOf(req.headers);
    // Read here: a socket that has closed no longer knows it.
    known.address = clientAddress(req, trustsProxy);
    known.network = networkOf(known.address);
    known.wireMethod = req.method;
    known.traceId = traceIdOf(req.headers['traceparent']);
    res.setHeader('X-Request-Id', known.requestId);
    res.setHeader('Cache-Control', 'no-store');
  };
}

function beginRequest(log: EventLog): (req: Request, res: Response) => void {
  const logIt = logRequest(log);
  return (req, res) => {
    logIt(req, res);
    requireSoundHttp(req);
    overrideMethod(req);
  };
}
