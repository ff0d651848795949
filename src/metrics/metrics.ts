import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { Outcome, Termination } from '../domain/termination.ts';
import type { RequestMeter } from '../http/metering.ts';
import type { NodeCounts } from '../mysql/pool/node-health.ts';
import type { Stages } from './instrumented.ts';
import { counters, requestMeter, stageMeter } from './request-metrics.ts';

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

/** What is looked up when somebody reads the metrics. */
export interface GaugeSources {
  /** How many nodes the registry has. */
  readonly nodes: () => number;
  readonly counts: () => NodeCounts;
  /** How many log lines were lost since the start. */
  readonly lostLogLines: () => number;
  /** Without it, no audit is configured. */
  readonly isAuditWritable: (() => Promise<boolean>) | undefined;
}

/** A gauge by their name would be taken for a counter; nodejs_active_resources says the same. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

const OUTCOMES = ['killed', 'not_found', 'failed', 'unknown'] as const satisfies Outcome[];

/** All metrics of the service. */
export function createMetrics(sources: GaugeSources): Metrics {
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
    reloaded: (wasTaken) => {
      reload.set(wasTaken ? 1 : 0);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** Adds the figures that are looked up when somebody reads them. */
function addGauges(
  registry: Registry,
  { nodes, counts, lostLogLines, isAuditWritable }: GaugeSources,
): void {
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
  const lost = new Counter({
    name: 'session_control_lost_log_lines_total',
    help: 'Log lines that were lost: standard output could not be written, or nobody read it fast enough.',
    registers,
    collect() {
      lost.reset();
      lost.inc(lostLogLines());
    },
  });
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
