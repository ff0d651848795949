import { until } from '../lib/until.ts';
import { nodesFrom, runLoad, warmNodes, type Fleet, type Requests } from './fleet.ts';
import type { Outcome } from './load-process.ts';
import { range } from './names.ts';
import { FIRST_SESSION } from './simulated-node.ts';
import { addCounts, median, quantile, formatCounts } from '../lib/statistics.ts';

const TURNS = 6;
const HEALTHY_RATE = 100;
const SICK_RATE = 40;
const MAX_RATIO = 1.2;
/** The number of sick nodes that try to take all places of the service, and their requests per second. */
const CROWDED = 4;
const CROWD_RATE = 400;

/** The outcomes of a service's two halves of nodes, one per turn. */
interface Half {
  readonly healthy: Outcome[];
  readonly other: Outcome[];
}

/**
 * Measures kills on a healthy half of the nodes while the other half is black-holed, and while it is healthy too.
 * Two services with the same healthy half run at the same time, so that other load on the machine affects both.
 * Their other halves take turns in being black-holed.
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
  await untilWarm(fleet, last, last + size / 2);
  const streams = [service, twin].flatMap(({ port }, which) => [
    { port, ...healthyHalf(first, middle) },
    { port, ...KILL, name: 'other', nodes: range(...(others[which] ?? [0, 0])), rate: SICK_RATE },
  ]);
  // The first load warms up both services.
  await runLoad(fleet, seconds, ...streams);
  const sick: Half = { healthy: [], other: [] };
  const well: Half = { healthy: [], other: [] };
  for (let turn = 0; turn < TURNS; turn += 1) {
    report.progress(`half of the nodes black-holed, turn ${turn + 1} of ${TURNS}`);
    const [from, to] = others[turn % 2] ?? [0, 0];
    await nodes.ask('setBlackHoled', from, to, true);
    const { outcomes, processors } = await runLoad(fleet, seconds * 1.5, ...streams);
    outcomes.forEach((outcome, index) => {
      const half = Math.floor(index / 2) === turn % 2 ? sick : well;
      (index % 2 === 0 ? half.healthy : half.other).push(outcome);
    });
    const both = [well, sick].map(({ healthy }) => p99(healthy.slice(-1)).toFixed(1));
    report.progress(`healthy half p99 ${both.join(' and ')} ms; cores: ${processors.text}`);
    await nodes.ask('setBlackHoled', from, to, false);
    await untilWarm(fleet, from, to);
  }
  await twin.stop();
  reportHalves(fleet, well, sick);
  await measureCrowd(fleet, first, middle);
}

const KILL = { session: FIRST_SESSION };

function healthyHalf(first: number, middle: number): Requests & { readonly rate: number } {
  return { ...KILL, name: 'healthy', nodes: range(first, middle), rate: HEALTHY_RATE };
}

function reportHalves({ report }: Fleet, well: Half, sick: Half): void {
  report.section('Half of the nodes black-holed, compared with none');
  const halves = { healthy: well, 'black-holed': sick };
  for (const [name, { healthy, other }] of Object.entries(halves)) {
    const each = healthy.map((one) => p99([one]).toFixed(1)).join(', ');
    const p50 = quantile(times(healthy), 0.5).toFixed(1);
    const figure = `p50 ${p50} ms, p99 ${p99(healthy).toFixed(1)} ms (${each})`;
    report.figure(`healthy half, other half ${name}`, figure);
    report.figure('  answers; those of the other half', `${statuses(healthy)}; ${statuses(other)}`);
  }
  const ratio = p99(sick.healthy) / p99(well.healthy);
  const ratios = sick.healthy.map(
    (one, turn) => p99([one]) / p99(well.healthy.slice(turn, turn + 1)),
  );
  const each = ratios.map((one) => one.toFixed(2)).join(', ');
  const figure = `${ratio.toFixed(2)} (${each}; median ${median(ratios).toFixed(2)})`;
  report.aim('p99 black-holed / healthy', figure, `at most ${MAX_RATIO}`, ratio <= MAX_RATIO);
  const middles = quantile(times(sick.healthy), 0.5) / quantile(times(well.healthy), 0.5);
  report.figure('p50 black-holed / healthy', middles.toFixed(2));
}

/** Measures the healthy half while a few black-holed nodes get more requests than all others. */
async function measureCrowd(fleet: Fleet, first: number, middle: number): Promise<void> {
  const { nodes, report, seconds } = fleet;
  report.progress(`${CROWDED} black-holed nodes get ${CROWD_RATE} requests a second`);
  const crowd = {
    ...KILL,
    name: 'crowd',
    nodes: range(middle, middle + CROWDED),
    rate: CROWD_RATE,
  };
  await nodes.ask('setBlackHoled', middle, middle + CROWDED, true);
  const { outcomes } = await runLoad(fleet, seconds * 1.5, healthyHalf(first, middle), crowd);
  await nodes.ask('setBlackHoled', middle, middle + CROWDED, false);
  await untilWarm(fleet, middle, middle + CROWDED);
  report.section(`${CROWDED} black-holed nodes get ${CROWD_RATE} requests a second`);
  const [good, bad] = [outcomes.slice(0, 1), outcomes.slice(1)];
  report.figure('healthy half', `p99 ${p99(good).toFixed(1)} ms; ${statuses(good)}`);
  report.figure(`the ${CROWDED} nodes`, statuses(bad));
}

async function untilWarm(fleet: Fleet, first: number, last: number): Promise<void> {
  const isWarm = async (): Promise<boolean> =>
    (await warmNodes(fleet, first, last)) >= last - first;
  await until('all nodes are warm', isWarm, 60_000);
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
