import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Response } from 'express';
import type { Sentence } from '../errors.ts';
import { ERROR_TABLE } from './error-table.ts';
import { isProbe } from './health.ts';
import { facts, languageOf, newRequestId, receiveNow } from './request-facts.ts';
import { logCount, type EventLog } from './request-log.ts';
import { errorBody } from './wire.ts';

const LONGEST_WAIT_MS = 1000;
/** A connection has at most one request here: half of 8,192 connections may wait, the others get their answer at once. */
const MAX_WAITING = 4096;
/** How often those that wait are looked after. */
const LOOK_MS = 50;
/** The share of the time that a process does something in which it has none to spare. */
const BUSY = 0.95;
/** By how many places a look changes what there is. */
const MORE = 64;
const FEWER = 16;
/** Who needs longer to send a request is not worked on meanwhile. */
const SLOW_TO_SEND_MS = 250;
/** How often those that have a place are looked after while nobody waits for one. */
const LOOK_AROUND_MS = 1000;

/** How many requests are let in. */
export interface Admission {
  /** How many are under way at once, those included that wait for a node. */
  readonly most: number;
  /** How many there are at once before others have to wait. */
  readonly places: number;
  /** How many are left of them while the processor has no time to spare; more would only make all of them slower. */
  readonly mostWhenBusy: number;
  readonly requestTimeoutMs: number;
  readonly log: EventLog;
}

/**
 * Lets so many requests in at once as keep the processor busy. The others wait up to a second for a place and are then turned away with
 * 503: before Express, and not at once, since whoever is turned away comes back, and then the answers to them would cost more than the work.
 * Clients that are slow to send, or to take their answer, keep no place from others; who takes longer than a request may is hung up on.
 */
export function limitAtOnce(
  app: RequestListener,
  { most, places: usual, mostWhenBusy, requestTimeoutMs, log }: Admission,
): RequestListener {
  const longestWaitMs = Math.min(LONGEST_WAIT_MS, requestTimeoutMs / 2);
  const underWay = new Set<ServerResponse>();
  /** These take no place: probes, and requests whose client still sends, or takes its answer, since then. */
  const idle = new Map<ServerResponse, number>();
  const waiting = new Set<ServerResponse>();
  const tell = logCount(log, 'requests turned away');
  let places = usual;
  let looking: NodeJS.Timeout | undefined;
  let lookingAround: NodeJS.Timeout | undefined;
  let seen = performance.eventLoopUtilization();

  const handle = (req: IncomingMessage, res: ServerResponse): void => {
    lookingAround ??= setInterval(lookAround, LOOK_AROUND_MS).unref();
    app(req, res);
  };
  const letIn = (req: IncomingMessage, res: ServerResponse): void => {
    underWay.add(res);
    handle(req, res);
  };
  const spareTheIdle = (now: number): void => {
    for (const res of underWay) {
      const isSending =
        !res.req.complete && facts(res as Response).receivedAt < now - SLOW_TO_SEND_MS;
      if (!res.headersSent && !isSending) continue;
      underWay.delete(res);
      idle.set(res, now);
      if (res.headersSent) continue;
      res.req.once('end', () => {
        if (idle.delete(res)) underWay.add(res);
      });
    }
  };
  const lookAround = (): void => {
    const now = performance.now();
    spareTheIdle(now);
    // Node itself hangs up on those who send for too long.
    for (const [res, since] of idle) {
      if (res.headersSent && since < now - requestTimeoutMs) res.destroy();
    }
    if (underWay.size + idle.size > 0) return;
    clearInterval(lookingAround);
    lookingAround = undefined;
  };
  const letSomeIn = (): void => {
    for (const res of waiting) {
      if (underWay.size >= places) return;
      waiting.delete(res);
      letIn(res.req, res);
    }
  };
  const refuse = (res: ServerResponse): void => {
    turnAway(res);
    tell();
  };
  // What waits for a node takes a place, but no time: only the processor tells whether there are too many.
  const countPlaces = (): void => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, seen);
    seen = now;
    if (utilization < BUSY) places = Math.min(places + MORE, most);
    else places = Math.max(places - FEWER, mostWhenBusy);
  };
  const look = (): void => {
    countPlaces();
    spareTheIdle(performance.now());
    letSomeIn();
    const came = performance.now() - longestWaitMs;
    for (const res of waiting) {
      if (facts(res as Response).receivedAt > came) break;
      waiting.delete(res);
      refuse(res);
    }
    if (waiting.size > 0) return;
    clearInterval(looking);
    looking = undefined;
    places = Math.max(places, usual);
  };
  const wait = (res: ServerResponse): void => {
    waiting.add(res);
    if (looking !== undefined) return;
    seen = performance.eventLoopUtilization();
    looking = setInterval(look, LOOK_MS).unref();
  };

  return (req, res) => {
    receiveNow(res);
    res.once('close', () => {
      waiting.delete(res);
      idle.delete(res);
      if (underWay.delete(res)) letSomeIn();
    });
    if (isProbe(req)) {
      // A probe needs no place.
      idle.set(res, performance.now());
      handle(req, res);
    } else if (underWay.size < places) letIn(req, res);
    else if (waiting.size < MAX_WAITING) wait(res);
    else refuse(res);
  };
}

function turnAway(res: ServerResponse): void {
  const requestId = newRequestId();
  const { status, retryAfter } = ERROR_TABLE.overloaded;
  const language = languageOf(res.req.headers);
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
