import { Child } from './child.ts';
import type { loadAnswers, Outcome, Stream } from './load-process.ts';
import type { nodesAnswers } from './nodes-process.ts';
import { watchProcessors, type Shares } from './processor.ts';
import type { Service } from './service.ts';
import type { Report } from './report.ts';

/** A stream of requests, to the service or to another port. */
export type Requests = Omit<Stream, 'port'> & Partial<Pick<Stream, 'port'>>;

/** The parts that all measurements use. */
export interface Fleet {
  readonly service: Service;
  /** A second service for comparison. */
  readonly twin: Service;
  readonly nodes: Child<typeof nodesAnswers>;
  readonly load: Child<typeof loadAnswers>;
  /** The port of each simulated node. */
  readonly ports: readonly number[];
  /** The number of nodes in the registry at one time. */
  readonly size: number;
  /** The number of nodes that a reload replaces. */
  readonly exchanged: number;
  /** The approximate duration of a phase. */
  readonly seconds: number;
  readonly report: Report;
}

/** Returns the numbers and ports of the nodes from `first` up to, not including, `last`. */
export function nodesFrom({ ports }: Fleet, first: number, last: number): [number, number][] {
  return ports.slice(first, last).map((port, index) => [first + index, port]);
}

/** Runs a load. Resolves to the outcomes in the order of the streams, the seconds until the last response, and the use of the cores. */
export async function runLoad(
  { service, nodes, load }: Fleet,
  seconds: number,
  ...streams: readonly Requests[]
): Promise<{
  readonly outcomes: readonly Outcome[];
  readonly elapsed: number;
  readonly processors: Shares;
}> {
  const pids = { service: service.processId, nodes: nodes.pid, load: load.pid };
  const shares = watchProcessors(pids);
  const begun = performance.now();
  const outcomes = await load.ask('run', {
    seconds,
    streams: streams.map((stream) => ({ port: service.port, ...stream })),
  });
  return { outcomes, elapsed: (performance.now() - begun) / 1000, processors: shares() };
}

/** Resolves to the number of warm nodes from `first` up to, not including, `last`. */
export async function warmNodes({ nodes }: Fleet, first: number, last: number): Promise<number> {
  return (await nodes.ask('counts', first, last)).warm;
}
