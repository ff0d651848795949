import { until } from '../lib/until.ts';
import { nodesFrom, runLoad, warmNodes, type Fleet, type Requests } from './fleet.ts';
import type { Outcome } from './load-process.ts';
import { range } from './names.ts';
import { FIRST_SESSION } from './simulated-node.ts';
import { addCounts, median, quantile, formatCounts } from '../lib/statistics.ts';

const TURNS = 6;
const HEALTHY_RATE = 100;
const SICK_RATE = 40;
const MOST_RATIO = 1.2;
/** So few nodes get so much when it is tried whether they can take all places. */
const CROWDED = 4;
const CROWD_RATE = 400;

/** Outcomes of one kind of requests, one a turn. */
interface Half {
  readonly healthy: Outcome[];
  readonly other: Outcome[];
}

/**
 * Measures kills on one half of the nodes while the other half answers nothing, and while it is in order: at the same moment on
 * two services that have the same healthy half, so that what else the machine does hits both. Whose other half is dark, goes by turns.
 */
export async function measureBulkhead(fleet: Fleet): Promise<void> {
  const { service, twin, nodes, report, size, exchanged, seconds } = fleet;
  const [first, last] = [exchanged, exchanged + size];
  const middle = first + size / 2;
  twin.configure('all', [
    ...nodesFrom(fleet, first, middle),
    ...nodesFrom(fleet, last, last + size / 2),
  ]);
  await twin.launch();
  const others = [
    [middle, last],
    [last, last + size / 2],
  ] as const;
  await areWarm(fleet, last, last + size / 2);
  const streams = [service, twin].flatMap(({ port }, which) => [
    { port, ...healthyHalf(first, middle) },
    { port, ...KILL, name: 'other', nodes: range(...(others[which] ?? [0, 0])), rate: SICK_RATE },
  ]);
  // Both have to have run for a while.
  await runLoad(fleet, seconds, ...streams);
  const dark: Half = { healthy: [], other: [] };
  const light: Half = { healthy: [], other: [] };
  for (let turn = 0; turn < TURNS; turn += 1) {
    report.progress(`half of the nodes dark, ${turn + 1} of ${TURNS}`);
    const [from, to] = others[turn % 2] ?? [0, 0];
    await nodes.ask('darken', from, to, true);
    const { outcomes, processors } = await runLoad(fleet, seconds * 1.5, ...streams);
    outcomes.forEach((outcome, index) => {
      const half = Math.floor(index / 2) === turn % 2 ? dark : light;
      (index % 2 === 0 ? half.healthy : half.other).push(outcome);
    });
    const told = [light, dark].map(({ healthy }) => p99(healthy.slice(-1)).toFixed(1));
    report.progress(`healthy half p99 ${told.join(' and ')} ms; cores: ${processors.told}`);
    await nodes.ask('darken', from, to, false);
    await areWarm(fleet, from, to);
  }
  await twin.stop();
  tell(fleet, light, dark);
  await measureCrowd(fleet, first, middle);
}

const KILL = { session: FIRST_SESSION };

function healthyHalf(first: number, middle: number): Requests & { readonly rate: number } {
  return { ...KILL, name: 'healthy', nodes: range(first, middle), rate: HEALTHY_RATE };
}

function tell({ report }: Fleet, light: Half, dark: Half): void {
  report.section('Half of the nodes black-holed, beside a service that has none such');
  for (const [name, { healthy, other }] of Object.entries({ 'in order': light, dark })) {
    const each = healthy.map((one) => p99([one]).toFixed(1)).join(', ');
    const p50 = quantile(times(healthy), 0.5).toFixed(1);
    const figure = `p50 ${p50} ms, p99 ${p99(healthy).toFixed(1)} ms (${each})`;
    report.figure(`healthy half, other half ${name}`, figure);
    report.figure('  answers; of the other half', `${statuses(healthy)}; ${statuses(other)}`);
  }
  const ratio = p99(dark.healthy) / p99(light.healthy);
  const ratios = dark.healthy.map(
    (one, turn) => p99([one]) / p99(light.healthy.slice(turn, turn + 1)),
  );
  const each = ratios.map((one) => one.toFixed(2)).join(', ');
  const figure = `${ratio.toFixed(2)} (${each}; median ${median(ratios).toFixed(2)})`;
  report.aim('p99 dark / in order', figure, `at most ${MOST_RATIO}`, ratio <= MOST_RATIO);
  const middles = quantile(times(dark.healthy), 0.5) / quantile(times(light.healthy), 0.5);
  report.figure('p50 dark / in order', middles.toFixed(2));
}

/** A few dark nodes that get more requests than all the rest. */
async function measureCrowd(fleet: Fleet, first: number, middle: number): Promise<void> {
  const { nodes, report, seconds } = fleet;
  report.progress(`${CROWDED} dark nodes that get ${CROWD_RATE} requests a second`);
  const crowd = {
    ...KILL,
    name: 'crowd',
    nodes: range(middle, middle + CROWDED),
    rate: CROWD_RATE,
  };
  await nodes.ask('darken', middle, middle + CROWDED, true);
  const { outcomes } = await runLoad(fleet, seconds * 1.5, healthyHalf(first, middle), crowd);
  await nodes.ask('darken', middle, middle + CROWDED, false);
  await areWarm(fleet, middle, middle + CROWDED);
  report.section(`${CROWDED} nodes black-holed that get ${CROWD_RATE} requests a second`);
  const [good, bad] = [outcomes.slice(0, 1), outcomes.slice(1)];
  report.figure('healthy half', `p99 ${p99(good).toFixed(1)} ms; ${statuses(good)}`);
  report.figure(`the ${CROWDED}`, statuses(bad));
}

async function areWarm(fleet: Fleet, first: number, last: number): Promise<void> {
  const areThey = async (): Promise<boolean> =>
    (await warmNodes(fleet, first, last)) >= last - first;
  await until('all nodes are warm', areThey, 60_000);
}

function times(outcomes: readonly Outcome[]): number[] {
  return outcomes.flatMap(({ milliseconds }) => milliseconds);
}

function p99(outcomes: readonly Outcome[]): number {
  return quantile(times(outcomes), 0.99);
}

function statuses(outcomes: readonly Outcome[]): string {
  return formatCounts(outcomes.map((one) => one.statuses).reduce(addCounts, {}));
}
