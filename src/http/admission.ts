import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Response } from 'express';
import { isProbe, receiveNow, requestContext } from './request-context.ts';
import { logCount, type EventLog } from './request-log.ts';
import { sendOverloaded } from './wire.ts';

const LONGEST_WAIT_MS = 1000;
/** A connection has at most one request here: half of 8,192 connections may wait, the others are refused at once. */
const MAX_WAITING = 4096;
/** The interval at which waiting requests are admitted or refused. */
const REBALANCE_MS = 50;
/** Event-loop utilization above which the process counts as busy. */
const BUSY = 0.95;
/** How many places one rebalance adds, or removes. */
const MORE = 64;
const FEWER = 16;
/** A client that needs longer to send its request gives up its place. */
const SLOW_TO_SEND_MS = 250;
/** The interval of the same check while no request waits. */
const SWEEP_MS = 1000;

/** The limits on concurrent requests. */
export interface Admission {
  /** The most requests in progress, including those that wait for a node. */
  readonly most: number;
  /** Requests in progress before others have to wait. */
  readonly places: number;
  /** Places that remain while the processor is busy: more would only slow all of them. */
  readonly mostWhenBusy: number;
  readonly requestTimeoutMs: number;
  readonly log: EventLog;
}

/**
 * Admits as many requests at once as keep the processor busy. The others wait up to a second for a place; then they are refused with 503.
 * They are refused before Express, which costs less, and after a wait, because refused clients come back.
 * A client that is slow to send, or to read its response, keeps no place from others. One that takes longer than a request may is disconnected.
 */
export function limitConcurrency(
  app: RequestListener,
  { most, places: usual, mostWhenBusy, requestTimeoutMs, log }: Admission,
): RequestListener {
  const longestWaitMs = Math.min(LONGEST_WAIT_MS, requestTimeoutMs / 2);
  const inProgress = new Set<ServerResponse>();
  /** Responses that take no place, with the time since when: probes, and clients that still send or read. */
  const idle = new Map<ServerResponse, number>();
  const waiting = new Set<ServerResponse>();
  const countRefusal = logCount(log, 'requests refused');
  let places = usual;
  let rebalancing: NodeJS.Timeout | undefined;
  let sweeping: NodeJS.Timeout | undefined;
  let seen = performance.eventLoopUtilization();

  const handle = (req: IncomingMessage, res: ServerResponse): void => {
    sweeping ??= setInterval(sweepIdle, SWEEP_MS).unref();
    app(req, res);
  };
  const admit = (req: IncomingMessage, res: ServerResponse): void => {
    inProgress.add(res);
    handle(req, res);
  };
  const exemptIdle = (now: number): void => {
    for (const res of inProgress) {
      const isSending =
        !res.req.complete && requestContext(res as Response).receivedAt < now - SLOW_TO_SEND_MS;
      if (!res.headersSent && !isSending) continue;
      inProgress.delete(res);
      idle.set(res, now);
      if (res.headersSent) continue;
      res.req.once('end', () => {
        if (idle.delete(res)) inProgress.add(res);
      });
    }
  };
  const sweepIdle = (): void => {
    const now = performance.now();
    exemptIdle(now);
    // Node itself disconnects clients that send for too long.
    for (const [res, since] of idle) {
      if (res.headersSent && since < now - requestTimeoutMs) res.destroy();
    }
    if (inProgress.size + idle.size > 0) return;
    clearInterval(sweeping);
    sweeping = undefined;
  };
  const admitWaiting = (): void => {
    for (const res of waiting) {
      if (inProgress.size >= places) return;
      waiting.delete(res);
      admit(res.req, res);
    }
  };
  const refuse = (res: ServerResponse): void => {
    sendOverloaded(res);
    countRefusal();
  };
  // A request that waits for a node takes a place, but no time: only the processor shows if there are too many.
  const adjustPlaces = (): void => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, seen);
    seen = now;
    if (utilization < BUSY) places = Math.min(places + MORE, most);
    else places = Math.max(places - FEWER, mostWhenBusy);
  };
  const rebalance = (): void => {
    adjustPlaces();
    exemptIdle(performance.now());
    admitWaiting();
    const oldest = performance.now() - longestWaitMs;
    for (const res of waiting) {
      if (requestContext(res as Response).receivedAt > oldest) break;
      waiting.delete(res);
      refuse(res);
    }
    if (waiting.size > 0) return;
    clearInterval(rebalancing);
    rebalancing = undefined;
    places = Math.max(places, usual);
  };
  const wait = (res: ServerResponse): void => {
    waiting.add(res);
    if (rebalancing !== undefined) return;
    seen = performance.eventLoopUtilization();
    rebalancing = setInterval(rebalance, REBALANCE_MS).unref();
  };

  return (req, res) => {
    receiveNow(res);
    res.once('close', () => {
      waiting.delete(res);
      idle.delete(res);
      if (inProgress.delete(res)) admitWaiting();
    });
    if (isProbe(req)) {
      // A probe needs no place.
      idle.set(res, performance.now());
      handle(req, res);
    } else if (inProgress.size < places) admit(req, res);
    else if (waiting.size < MAX_WAITING) wait(res);
    else refuse(res);
  };
}
