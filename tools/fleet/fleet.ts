import { Child } from './child.ts';
import type { loadAnswers, Outcome, Stream } from './load-process.ts';
import type { nodesAnswers } from './nodes-process.ts';
import { watchProcessors, type Shares } from './processor.ts';
import type { Service } from './service.ts';
import type { Report } from './report.ts';

/** A stream of requests, to the service unless it has a port. */
export type Requests = Omit<Stream, 'port'> & Partial<Pick<Stream, 'port'>>;

/** What all measurements work with. */
export interface Fleet {
  readonly service: Service;
  /** Runs only beside it, to compare. */
  readonly twin: Service;
  readonly nodes: Child<typeof nodesAnswers>;
  readonly load: Child<typeof loadAnswers>;
  /** The port of each simulated node. */
  readonly ports: readonly number[];
  /** How many of them are in the registry at once. */
  readonly size: number;
  /** How many a reload exchanges. */
  readonly exchanged: number;
  /** How long a phase takes, more or less. */
  readonly seconds: number;
  readonly report: Report;
}

/** The numbers and ports of these nodes, as the service is told them. */
export function nodesFrom({ ports }: Fleet, first: number, last: number): [number, number][] {
  return ports.slice(first, last).map((port, index) => [first + index, port]);
}

/** Runs a load; the outcomes, in the order of the streams, the seconds until the last answer, and who had the processors. */
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

/** How many nodes from the first to before the last are warm. */
export async function warmNodes({ nodes }: Fleet, first: number, last: number): Promise<number> {
  return (await nodes.ask('counts', first, last)).warm;
}
