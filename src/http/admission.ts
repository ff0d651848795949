import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Response } from 'express';
import { isProbe, receiveNow, requestContext } from './request-context.ts';
import { logCount, type EventLog } from './request-log.ts';
import { sendOverloaded } from './wire.ts';

const LONGEST_WAIT_MS = 1000;
/** The most requests that wait for a place: half of the default limit of 8,192 connections. Further requests are refused at once. */
const MAX_WAITING = 4096;
/** The interval at which waiting requests are admitted or refused. */
const REBALANCE_MS = 50;
/** Event-loop utilization above which the process counts as busy. */
const BUSY = 0.95;
/** The number of places that one rebalance adds. */
const ADDED_PLACES = 64;
/** The number of places that one rebalance removes. */
const REMOVED_PLACES = 16;
/** A request that takes longer to arrive loses its place. */
const SLOW_TO_SEND_MS = 250;
/** The interval of the check for slow clients while no request waits. */
const SWEEP_MS = 1000;

/** The limits on concurrent requests. */
export interface Admission {
  /** The most requests in progress, including those that wait for a node. */
  readonly most: number;
  /** The usual limit on requests in progress. Beyond it, requests wait. */
  readonly places: number;
  /** The limit while the processor is busy: more concurrent requests would slow all of them. */
  readonly mostWhenBusy: number;
  readonly requestTimeoutMs: number;
  readonly log: EventLog;
}

/**
 * Returns a listener that admits as many concurrent requests as keep the processor busy. Other requests wait at most one second for a
 * place. A request that gets no place is refused with 503. The refusal bypasses Express, which would cost more time. The wait slows down
 * clients that retry. A request takes no place while its client is slow to send it or to read the response. A client that takes longer
 * than `requestTimeoutMs` to read the response is disconnected.
 */
export function limitConcurrency(
  app: RequestListener,
  { most, places: usual, mostWhenBusy, requestTimeoutMs, log }: Admission,
): RequestListener {
  const longestWaitMs = Math.min(LONGEST_WAIT_MS, requestTimeoutMs / 2);
  const inProgress = new Set<ServerResponse>();
  /**
   * Responses that take no place, each with the time when it was added here. Their clients are probes, or still send the request or read
   * the response.
   */
  const idle = new Map<ServerResponse, number>();
  const waiting = new Set<ServerResponse>();
  const countRefusal = logCount(log, 'requests refused');
  let places = usual;
  let rebalancing: NodeJS.Timeout | undefined;
  let sweeping: NodeJS.Timeout | undefined;
  let lastUtilization = performance.eventLoopUtilization();

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
    // Node.js itself disconnects clients that send for too long.
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
  // A request that waits for a node takes a place but no processor time: only the utilization shows an overload.
  const adjustPlaces = (): void => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, lastUtilization);
    lastUtilization = now;
    if (utilization < BUSY) places = Math.min(places + ADDED_PLACES, most);
    else places = Math.max(places - REMOVED_PLACES, mostWhenBusy);
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
    lastUtilization = performance.eventLoopUtilization();
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
      idle.set(res, performance.now());
      handle(req, res);
    } else if (inProgress.size < places) admit(req, res);
    else if (waiting.size < MAX_WAITING) wait(res);
    else refuse(res);
  };
}
