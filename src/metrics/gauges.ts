import { Counter, Gauge, type Registry } from 'prom-client';
import type { NodeCounts } from '../mysql/node-counts.ts';

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

/** Adds the figures that are looked up when somebody reads them. */
export function addGauges(
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
