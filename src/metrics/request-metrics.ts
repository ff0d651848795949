import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ErrorCode } from '../errors.ts';
import type { RequestMeter } from '../http/metering.ts';
import { STAGES, type Stages } from './instrumented.ts';

/** Seconds. */
const BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'POST']);

/** The reasons for 401, 403, 429 and 503, as the errors are called inside. */
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

/** The figures of requests. */
export function requestMeter(registry: Registry, stages: Stages): RequestMeter {
  const registers = [registry];
  const requests = new Counter({
    name: 'session_control_requests_total',
    help: 'Requests that are over, but for those of probes; 499: the client had gone before there was an answer.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'session_control_request_duration_seconds',
    help: 'Whole requests, a wait that was asked for included.',
    labelNames: ['method', 'route'],
    buckets: BUCKETS,
    registers,
  });
  const refusals = counters(
    new Counter({
      name: 'session_control_refused_requests_total',
      help: 'Requests that were turned away with 401, 403, 429 or 503. service_full: no place was free for a second.',
      labelNames: ['reason'],
      registers,
    }),
    ['service_full', ...REFUSALS],
  );
  let present = 0;
  let admitted = 0;
  const places = new Gauge({
    name: 'session_control_requests_in_progress',
    help: 'Requests that are being worked on, and those that wait for a place.',
    labelNames: ['state'],
    registers,
    collect() {
      places.set({ state: 'under_way' }, admitted);
      places.set({ state: 'waiting_for_admission' }, present - admitted);
    },
  });
  const counterOf = cached((method, route, status) => requests.labels(method, route, status));
  const durationOf = cached((method, route) => durations.labels(method, route));
  const isCounted = (code: string): code is keyof typeof refusals => Object.hasOwn(refusals, code);
  return {
    received: () => {
      present += 1;
    },
    admitted: (waitedMs) => {
      admitted += 1;
      stages.queue(waitedMs);
    },
    ended({ wasAdmitted, method, route, status, error, tookMs }) {
      present -= 1;
      if (wasAdmitted) admitted -= 1;
      // A client can make up as many methods as Node knows.
      const name = METHODS.has(method) ? method : 'other';
      counterOf(name, route, String(status)).inc();
      durationOf(name, route, '').observe(tookMs / 1000);
      const reason = wasAdmitted ? error : status === 503 ? 'service_full' : undefined;
      if (reason !== undefined && isCounted(reason)) refusals[reason]();
    },
  };
}

/** The figures of their stages. */
export function stageMeter(registry: Registry): Stages {
  const histogram = new Histogram({
    name: 'session_control_stage_duration_seconds',
    help: 'The stages of requests: until one is let in, knows its caller, has a connection to the node; each process list, record and KILL (or batch of them); and a wait that was asked for.',
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

/** One counter for each value of its only label, there from the start: what was never counted is 0, not unknown. */
export function counters<V extends string>(
  counter: Counter,
  values: readonly V[],
): Readonly<Record<V, () => void>> {
  const made = values.map((value) => {
    const child = counter.labels(value);
    child.inc(0);
    return [
      value,
      () => {
        child.inc();
      },
    ];
  });
  return Object.fromEntries(made) as Record<V, () => void>;
}

/** Makes one for each combination of texts, of which there must be few. */
function cached<T>(make: (...texts: [string, string, string]) => T): typeof make {
  const made = new Map<string, T>();
  return (...texts) => {
    const key = texts.join(' ');
    const there = made.get(key) ?? make(...texts);
    made.set(key, there);
    return there;
  };
}
