import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Sentence } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import { isProbe } from './health.ts';
import { languageOf, newRequestId, receiveNow } from './request-facts.ts';
import { logCount, type EventLog } from './request-log.ts';
import { errorBody } from './wire.ts';

const LONGEST_WAIT_MS = 1000;
/** What has been under way for so long mostly waits for its node, or for sessions to leave. */
const FRESH_MS = 500;
/** A client may send many requests over one connection without waiting for answers. */
const MAX_WAITING = 4096;

/** How many requests are let in. */
export interface Admission {
  /** How many are under way at once, those included that wait for a node. */
  readonly most: number;
  /** How many of them may have come just now, and want the processor; more would only make all of them slower. */
  readonly mostFresh: number;
  readonly requestTimeoutMs: number;
  readonly log: EventLog;
}

/**
 * Lets so many requests in at once. The others wait up to a second for a place and are then turned away with 503: before Express, and not
 * at once, since whoever is turned away comes back, and then the answers to them would cost more than the work.
 */
export function limitAtOnce(
  app: RequestListener,
  { most, mostFresh, requestTimeoutMs, log }: Admission,
): RequestListener {
  const longestWaitMs = Math.min(LONGEST_WAIT_MS, requestTimeoutMs / 2);
  const waiting = new Set<() => void>();
  const tell = logCount(log, 'requests turned away');
  let underWay = 0;
  let fresh = 0;

  const hasRoom = (): boolean => underWay < most && fresh < mostFresh;
  const letNextIn = (): void => {
    const [next] = waiting;
    if (hasRoom()) next?.();
  };
  const letIn = (req: IncomingMessage, res: ServerResponse): void => {
    underWay += 1;
    fresh += 1;
    let isFresh = true;
    const age = (): void => {
      if (!isFresh) return;
      isFresh = false;
      fresh -= 1;
    };
    const ageing = setTimeout(() => {
      age();
      letNextIn();
    }, FRESH_MS).unref();
    res.once('close', () => {
      clearTimeout(ageing);
      age();
      underWay -= 1;
      letNextIn();
    });
    app(req, res);
  };

  return (req, res) => {
    receiveNow(res);
    if (isProbe(req)) {
      app(req, res);
    } else if (hasRoom()) {
      letIn(req, res);
    } else if (waiting.size >= MAX_WAITING) {
      turnAway(req, res);
      tell();
    } else {
      const leave = (): void => {
        clearTimeout(patience);
        waiting.delete(enter);
        res.off('close', leave);
      };
      const enter = (): void => {
        leave();
        letIn(req, res);
      };
      const patience = setTimeout(() => {
        leave();
        turnAway(req, res);
        tell();
      }, longestWaitMs);
      res.once('close', leave);
      waiting.add(enter);
    }
  };
}

function turnAway(req: IncomingMessage, res: ServerResponse): void {
  const requestId = newRequestId();
  const { status, retryAfter } = ERROR_TABLE.overloaded;
  const language = languageOf(req.headers['x-language']);
  const body = JSON.stringify(errorBody('overloaded', CROWDED, { language, requestId }));
  res
    .writeHead(status, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'Retry-After': retryAfter,
      'X-Content-Type-Options': 'nosniff',
      'X-Request-Id': requestId,
    })
    .end(body);
}

const CROWDED: Sentence = {
  'en-us': 'The service has too many requests to answer.',
  'zh-cn': '服务正在处理的请求过多。',
};
