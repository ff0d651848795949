import { runLoad, type Fleet } from './fleet.ts';
import type { Outcome } from './load-process.ts';
import { range } from './names.ts';
import { addCounts, mean, quantile, toldCounts } from './statistics.ts';

const CALLERS = 64;
const LINES = 2048;
const FACTORS = [1, 2, 5, 10];
/** The id that no session has. */
const NOBODY = 4_000_000_000;
const LEAST_SHARE = 0.8;

interface Run {
  readonly outcome: Outcome;
  /** 200s for each second that the service had a core: what other programs take does not change it. */
  readonly perCoreSecond: number;
  readonly told: string;
}

/** Measures how many kills of unknown ids the service answers, and how many when more are offered. */
export async function measureOverload(fleet: Fleet): Promise<void> {
  const { report, seconds } = fleet;
  report.progress('the capacity');
  await run(fleet, { callers: CALLERS });
  const closed = await run(fleet, { callers: CALLERS });
  const capacity = closed.outcome.goodput;
  const runs = new Map(FACTORS.map((factor) => [factor, [] as Run[]]));
  // There and back, so that what changes with time hits all alike.
  for (const factor of [...FACTORS, ...FACTORS.toReversed()]) {
    report.progress(`${factor} times the capacity`);
    runs.get(factor)?.push(await run(fleet, { rate: capacity * factor }));
  }
  const goodputOf = (some: readonly Run[]): number => mean(some.map((one) => one.outcome.goodput));
  const thriftOf = (some: readonly Run[]): number => mean(some.map((one) => one.perCoreSecond));
  const all = [[closed], ...runs.values()];
  const peak = Math.max(...all.map(goodputOf));
  const mostThrift = Math.max(...all.map(thriftOf));

  report.section('Overload, kills of unknown ids; cores as of the last run');
  const thrift = `${closed.perCoreSecond.toFixed(0)} a second of a core`;
  report.figure(`capacity, ${CALLERS} callers`, `${capacity.toFixed(0)} a second, ${thrift}`);
  report.figure('  p99, cores', `${p99([closed])}; ${closed.told}`);
  for (const [factor, some] of runs) {
    const goodput = goodputOf(some);
    const share = goodput / peak;
    const figure = `${goodput.toFixed(0)} a second, ${(share * 100).toFixed(0)} % of the peak`;
    report.aim(`${factor} times: goodput`, figure, 'at least 80 %', share >= LEAST_SHARE);
    const own = thriftOf(some);
    const part = ((own / mostThrift) * 100).toFixed(0);
    report.figure('  a second of a core', `${own.toFixed(0)}, ${part} % of the most`);
    const statuses = some.map(({ outcome }) => outcome.statuses).reduce(addCounts, {});
    report.figure('  answers', `${toldCounts(statuses)}; ${p99(some)}`);
    const sent = mean(some.map(({ outcome }) => outcome.sent)) / seconds;
    const unsent = mean(some.map(({ outcome }) => outcome.unsent)) / seconds;
    report.figure('  sent, not sent', `${sent.toFixed(0)}, ${unsent.toFixed(0)} a second`);
    report.figure('  cores', some.at(-1)?.told ?? '');
  }
}

async function run(fleet: Fleet, how: { rate: number } | { callers: number }): Promise<Run> {
  const { service, load, report, size, exchanged, seconds } = fleet;
  await load.ask('open', service.port, 'callers' in how ? how.callers : LINES);
  const kill = { name: 'kill', session: NOBODY, nodes: range(exchanged, exchanged + size) };
  const { outcomes, processors, elapsed } = await runLoad(fleet, seconds, { ...kill, ...how });
  const [outcome] = outcomes;
  if (outcome === undefined) throw new Error('The load has no outcome.');
  const answered = outcome.statuses[200] ?? 0;
  const perCoreSecond = answered / elapsed / (processors.cores['service'] ?? NaN);
  report.progress(`${outcome.goodput.toFixed(0)} a second; cores: ${processors.told}`);
  return { outcome, perCoreSecond, told: processors.told };
}

function p99(runs: readonly Run[]): string {
  const all = runs.flatMap(({ outcome }) => outcome.milliseconds);
  return `p99 of the 200s ${quantile(all, 0.99).toFixed(0)} ms`;
}
