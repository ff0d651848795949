import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { Outcome, Termination } from '../domain/termination.ts';
import type { RequestMeter } from '../http/metering.ts';
import type { NodeCounts } from '../mysql/pool/node-health.ts';
import type { Stages } from './instrumented.ts';
import { counters, requestMeter, stageMeter } from './request-metrics.ts';

/** The metrics of the service. The number of series does not grow with nodes or callers. */
export interface Metrics {
  readonly requests: RequestMeter;
  readonly stages: Stages;
  /** Counts the outcomes of a request that ends sessions. */
  readonly terminated: (termination: Termination) => void;
  /** Counts an IAM token. `wasKnown` is true if the cache had IAM's result for the token. */
  readonly iamAsked: (wasKnown: boolean) => void;
  /** Counts a connection that the service closed because of a connection limit. */
  readonly connectionRefused: () => void;
  /** Records whether the last reload was applied. */
  readonly reloaded: (wasApplied: boolean) => void;
  /** Returns all metrics in Prometheus's text format. */
  readonly text: () => Promise<string>;
  readonly contentType: string;
}

/** The sources of the values that each scrape reads. */
export interface GaugeSources {
  /** Returns the number of nodes in the registry. */
  readonly nodes: () => number;
  readonly counts: () => NodeCounts;
  /** Returns the number of log lines that were lost since the start. */
  readonly lostLogLines: () => number;
  /** Undefined if no audit is configured. */
  readonly isAuditWritable: (() => Promise<boolean>) | undefined;
}

/** Gauges whose names look like counters. Each holds the sum of the gauge without `_total`, which has a series for each type. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

const OUTCOMES = ['killed', 'not_found', 'failed', 'unknown'] as const satisfies Outcome[];

/** Creates all metrics of the service. */
export function createMetrics(sources: GaugeSources): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const registers = [registry];
  const kills = counters(
    new Counter({
      name: 'session_control_kills_total',
      help: 'Session ids in kill requests, by outcome. Dry runs and repeated responses do not count.',
      labelNames: ['outcome'],
      registers,
    }),
    OUTCOMES,
  );
  const iam = counters(
    new Counter({
      name: 'session_control_iam_cache_total',
      help: "Tokens that IAM validates. hit: the cache had IAM's result for the token; miss: it had none.",
      labelNames: ['result'],
      registers,
    }),
    ['hit', 'miss'],
  );
  const refusedConnections = new Counter({
    name: 'session_control_refused_connections_total',
    help: 'Connections that were closed because of a connection limit.',
    registers,
  });
  const reload = new Gauge({
    name: 'session_control_last_reload_succeeded',
    help: '0 if the last SIGHUP found problems in the configuration: the old one stays in force.',
    registers,
  });
  reload.set(1);
  addGauges(registry, sources);
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
    reloaded: (wasApplied) => {
      reload.set(wasApplied ? 1 : 0);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** Adds the metrics whose values are read at each scrape. */
function addGauges(
  registry: Registry,
  { nodes, counts, lostLogLines, isAuditWritable }: GaugeSources,
): void {
  const registers = [registry];
  const gauge = (name: string, help: string): Gauge<'state'> =>
    new Gauge({ name: `session_control_${name}`, help, labelNames: ['state'], registers });
  const known = new Gauge({
    name: 'session_control_nodes',
    help: 'Nodes in the registry.',
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
    'Control connections to all nodes. spare: over the spare port.',
  );
  const breaker = gauge(
    'breakers',
    'Nodes that were used, by the state of their circuit breaker. open: requests are refused; half_open: the next request tries the node.',
  );
  const atNodes = gauge(
    'node_requests',
    'Requests that need a node. at_slow_node: requests in the other two states whose node is slow.',
  );
  const lost = new Counter({
    name: 'session_control_lost_log_lines_total',
    help: 'Log lines that were lost: standard output could not be written, or its reader was too slow.',
    registers,
    collect() {
      lost.reset();
      lost.inc(lostLogLines());
    },
  });
  if (isAuditWritable === undefined) return;
  const writable = new Gauge({
    name: 'session_control_audit_writable',
    help: '0 while the audit file cannot be written or its disk is almost full.',
    registers,
    async collect() {
      writable.set((await isAuditWritable()) ? 1 : 0);
    },
  });
}
