import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Outcome, Termination } from './domain/termination.ts';
import type { ErrorCode } from './errors.ts';
import type { RequestMeter } from './http/metering.ts';
import { STAGES, type Stages } from './metered.ts';
import type { NodeCounts } from './mysql/node-counts.ts';

/** What is looked up when somebody reads the metrics. */
export interface MetricsSources {
  /** How many nodes the registry has. */
  readonly nodes: () => number;
  readonly counts: () => NodeCounts;
  /** Without it, no audit is configured. */
  readonly isAuditWritable: (() => Promise<boolean>) | undefined;
}

/** What the service tells of itself. No figure has a label that grows with the nodes or the callers. */
export interface Metrics {
  readonly requests: RequestMeter;
  readonly stages: Stages;
  /** A request to end sessions came to this. */
  readonly terminated: (termination: Termination) => void;
  /** An IAM token came, and what IAM had said of it was still known or not. */
  readonly iamAsked: (wasKnown: boolean) => void;
  /** A client was hung up on, since too many were connected. */
  readonly connectionRefused: () => void;
  readonly reloaded: (wasTaken: boolean) => void;
  /** In Prometheus's text format. */
  readonly text: () => Promise<string>;
  readonly contentType: string;
}

/** Seconds. */
const BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** A gauge by their name would be taken for a counter; nodejs_active_resources says the same. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'POST']);

const OUTCOMES = ['killed', 'not_found', 'failed', 'unknown'] as const satisfies Outcome[];

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

/** All metrics of the service. */
export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const registers = [registry];
  const kills = counters(
    new Counter({
      name: 'session_control_kills_total',
      help: 'Session ids that were to be ended, by what came of them.',
      labelNames: ['outcome'],
      registers,
    }),
    OUTCOMES,
  );
  const iam = counters(
    new Counter({
      name: 'session_control_iam_cache_total',
      help: 'IAM tokens that came, by whether it was still known what IAM says of them.',
      labelNames: ['result'],
      registers,
    }),
    ['hit', 'miss'],
  );
  const refusedConnections = new Counter({
    name: 'session_control_refused_connections_total',
    help: 'Clients that were hung up on, since too many were connected.',
    registers,
  });
  const reload = new Gauge({
    name: 'session_control_last_reload_succeeded',
    help: '0 when the configuration was refused at the last SIGHUP: the old one is in force.',
    registers,
  });
  reload.set(1);
  addSources(registry, sources);
  const stages = stageMeter(registry);
  return {
    requests: requestMeter(registry, stages),
    stages,
    terminated({ entries, isDryRun }) {
      if (isDryRun) return;
      for (const { outcome } of entries) kills[outcome]();
    },
    iamAsked: (wasKnown) => {
      iam[wasKnown ? 'hit' : 'miss']();
    },
    connectionRefused: () => {
      refusedConnections.inc();
    },
    reloaded: (wasTaken) => {
      reload.set(wasTaken ? 1 : 0);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

function requestMeter(registry: Registry, stages: Stages): RequestMeter {
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
  let letIn = 0;
  const places = new Gauge({
    name: 'session_control_requests_in_progress',
    help: 'Requests that are being worked on, and those that wait for a place.',
    labelNames: ['state'],
    registers,
    collect() {
      places.set({ state: 'under_way' }, letIn);
      places.set({ state: 'waiting_for_admission' }, present - letIn);
    },
  });
  const counterOf = cached((method, route, status) => requests.labels(method, route, status));
  const durationOf = cached((method, route) => durations.labels(method, route));
  const isCounted = (code: string): code is keyof typeof refusals => Object.hasOwn(refusals, code);
  return {
    received: () => {
      present += 1;
    },
    letIn: (waitedMs) => {
      letIn += 1;
      stages.queue(waitedMs);
    },
    ended({ wasLetIn, method, route, status, error, tookMs }) {
      present -= 1;
      if (wasLetIn) letIn -= 1;
      // A client can make up as many methods as Node knows.
      const name = METHODS.has(method) ? method : 'other';
      counterOf(name, route, String(status)).inc();
      durationOf(name, route, '').observe(tookMs / 1000);
      const reason = wasLetIn ? error : status === 503 ? 'service_full' : undefined;
      if (reason !== undefined && isCounted(reason)) refusals[reason]();
    },
  };
}

function stageMeter(registry: Registry): Stages {
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

function addSources(registry: Registry, { nodes, counts, isAuditWritable }: MetricsSources): void {
  const registers = [registry];
  const gauge = (name: string, help: string): Gauge<'state'> =>
    new Gauge({ name: `session_control_${name}`, help, labelNames: ['state'], registers });
  const known = new Gauge({
    name: 'session_control_nodes',
    help: 'Nodes of the registry.',
    registers,
    collect() {
      known.set(nodes());
      const { connections, breakers, requests } = counts();
      for (const [state, count] of Object.entries(connections)) open.set({ state }, count);
      for (const [state, count] of Object.entries(breakers)) breaker.set({ state }, count);
      for (const [state, count] of Object.entries(requests)) atNodes.set({ state }, count);
    },
  });
  const open = gauge(
    'control_connections',
    'Control connections to all nodes together; spare: by the spare port.',
  );
  const breaker = gauge(
    'breakers',
    'Nodes that were used, by whether they are left alone; open: they are, half_open: whoever comes next tries.',
  );
  const atNodes = gauge(
    'node_requests',
    'Requests at nodes: that wait for a connection, that use one, and those of both at nodes that are slow to answer.',
  );
  if (isAuditWritable === undefined) return;
  const writable = new Gauge({
    name: 'session_control_audit_writable',
    help: '0 while the audit cannot be written and kills are refused.',
    registers,
    async collect() {
      writable.set((await isAuditWritable()) ? 1 : 0);
    },
  });
}

/** One counter for each value of its only label, there from the start: what was never counted is 0, not unknown. */
function counters<V extends string>(
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
