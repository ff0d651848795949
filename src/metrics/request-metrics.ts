import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ErrorCode } from '../errors.ts';
import type { RequestMeter } from '../http/metering.ts';
import { STAGES, type Stages } from './instrumented.ts';

/** The upper bounds of the histograms, in seconds. */
const BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'POST']);

/** The error codes behind 401, 403, 429 and 503. */
const REFUSALS = [
  'unauthenticated',
  'action_denied',
  'project_denied',
  'too_many_requests',
  'overloaded',
  'stopping',
  'store_unavailable',
  'audit_unavailable',
  'iam_unavailable',
  'service_token_refused',
] as const satisfies ErrorCode[];

/** Returns a meter that fills the metrics of requests. */
export function requestMeter(registry: Registry, stages: Stages): RequestMeter {
  const registers = [registry];
  const requests = new Counter({
    name: 'session_control_requests_total',
    help: 'Completed requests, except probes. 499: the client left before the response.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'session_control_request_duration_seconds',
    help: 'Duration from the arrival of a request to the end of its response, including a requested wait.',
    labelNames: ['method', 'route'],
    buckets: BUCKETS,
    registers,
  });
  const refusals = counters(
    new Counter({
      name: 'session_control_refused_requests_total',
      help: 'Requests that were refused with 401, 403, 429 or 503. service_full: the request was not admitted within a second.',
      labelNames: ['reason'],
      registers,
    }),
    ['service_full', ...REFUSALS],
  );
  let inService = 0;
  let admitted = 0;
  const places = new Gauge({
    name: 'session_control_requests_in_progress',
    help: 'Requests in progress, and requests that wait for admission.',
    labelNames: ['state'],
    registers,
    collect() {
      places.set({ state: 'under_way' }, admitted);
      places.set({ state: 'waiting_for_admission' }, inService - admitted);
    },
  });
  const counterOf = cached((method, route, status) => requests.labels(method, route, status));
  const durationOf = cached((method, route) => durations.labels(method, route));
  const isCounted = (code: string): code is keyof typeof refusals => Object.hasOwn(refusals, code);
  return {
    received: () => {
      inService += 1;
    },
    admitted: (waitedMs) => {
      admitted += 1;
      stages.queue(waitedMs);
    },
    ended({ wasAdmitted, method, route, status, error, tookMs }) {
      inService -= 1;
      if (wasAdmitted) admitted -= 1;
      // Bounds the series: Node.js accepts over thirty methods.
      const name = METHODS.has(method) ? method : 'other';
      counterOf(name, route, String(status)).inc();
      durationOf(name, route, '').observe(tookMs / 1000);
      const reason = wasAdmitted ? error : status === 503 ? 'service_full' : undefined;
      if (reason !== undefined && isCounted(reason)) refusals[reason]();
    },
  };
}

/** Returns a meter that fills the histogram of stages. */
export function stageMeter(registry: Registry): Stages {
  const histogram = new Histogram({
    name: 'session_control_stage_duration_seconds',
    help: 'Duration of the stages of requests. queue: until admission; auth: until the caller is known; connect: until a connection to the node is ready; list, audit, kill: each process list, audit record, and KILL or batch of them; wait: a requested wait.',
    labelNames: ['stage'],
    buckets: BUCKETS,
    registers: [registry],
  });
  const meter = (stage: string): ((milliseconds: number) => void) => {
    histogram.zero({ stage });
    const child = histogram.labels(stage);
    return (milliseconds) => {
      child.observe(milliseconds / 1000);
    };
  };
  return Object.fromEntries(STAGES.map((stage) => [stage, meter(stage)])) as Record<
    keyof Stages,
    (milliseconds: number) => void
  >;
}

/** Returns an increment for each value of the counter's only label. Each series exists from the start, with the value 0. */
export function counters<V extends string>(
  counter: Counter,
  values: readonly V[],
): Readonly<Record<V, () => void>> {
  const increments = values.map((value) => {
    const child = counter.labels(value);
    child.inc(0);
    return [
      value,
      () => {
        child.inc();
      },
    ];
  });
  return Object.fromEntries(increments) as Record<V, () => void>;
}

/** Returns `make` with a cache that keeps every result: the arguments must have few combinations. */
function cached<T>(make: (...texts: [string, string, string]) => T): typeof make {
  const results = new Map<string, T>();
  return (...texts) => {
    const key = texts.join(' ');
    const result = results.get(key) ?? make(...texts);
    results.set(key, result);
    return result;
  };
}
