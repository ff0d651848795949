import { runLoad, type Fleet } from './fleet.ts';
import type { Outcome } from './load-process.ts';
import { range } from './names.ts';
import { addCounts, mean, median, quantile, formatCounts } from '../lib/statistics.ts';

const CALLERS = 64;
const CONNECTIONS = 2048;
const FACTORS = [1, 2, 5, 10];
/** An id that no session has. */
const UNKNOWN_ID = 4_000_000_000;
const MIN_SHARE = 0.8;

interface Run {
  readonly outcome: Outcome;
  /** The number of 200s per second of processor time of the service, which other programs do not change. */
  readonly perCoreSecond: number;
  /** The use of the cores, for the report. */
  readonly cores: string;
}

/** A run above the capacity of the service, and the runs at its capacity before and after. */
interface Turn {
  readonly over: Run;
  readonly atCapacity: readonly [Run, Run];
}

/** Measures how many kills of unknown ids the service answers at its capacity, and under more load. */
export async function measureOverload(fleet: Fleet): Promise<void> {
  const { report, seconds } = fleet;
  const measureCapacity = (): Promise<Run> => {
    report.progress('the capacity');
    return run(fleet, { callers: CALLERS });
  };
  await measureCapacity();
  let before = await measureCapacity();
  const closed = [before];
  const turns = new Map(FACTORS.map((factor) => [factor, [] as Turn[]]));
  const thereAndBack = [...FACTORS, ...FACTORS.toReversed()];
  for (const factor of [...thereAndBack, ...thereAndBack]) {
    report.progress(`${factor} times the capacity`);
    const over = await run(fleet, { rate: before.outcome.goodput * factor });
    const after = await measureCapacity();
    turns.get(factor)?.push({ over, atCapacity: [before, after] });
    closed.push(after);
    before = after;
  }

  report.section(
    'Overload: kills of unknown ids, in turns with runs at the capacity; cores of the last run',
  );
  const most = median(closed.map(goodputOf)).toFixed(0);
  const efficiency = `${median(closed.map(efficiencyOf)).toFixed(0)} per second of a core`;
  report.figure(`capacity, ${CALLERS} callers`, `${most} a second, ${efficiency}`);
  report.figure('  p99, cores', `${p99(closed)}; ${before.cores}`);
  for (const [factor, some] of turns) {
    const runs = some.map(({ over }) => over);
    const shares = some.map((turn) => shareOf(turn, goodputOf));
    const share = mean(shares);
    const goodput = `${median(runs.map(goodputOf)).toFixed(0)} a second, ${percent(share)} of the capacity`;
    const each = shares.map(percent).join(', ');
    const isMet = share >= MIN_SHARE;
    report.aim(`${factor} times: goodput`, `${goodput} (${each})`, 'at least 80 %', isMet);
    const own = percent(mean(some.map((turn) => shareOf(turn, efficiencyOf))));
    report.figure('  per second of a core', `${median(runs.map(efficiencyOf)).toFixed(0)}, ${own}`);
    const statuses = runs.map(({ outcome }) => outcome.statuses).reduce(addCounts, {});
    report.figure('  answers', `${formatCounts(statuses)}; ${p99(runs)}`);
    const sent = mean(runs.map(({ outcome }) => outcome.sent)) / seconds;
    const unsent = mean(runs.map(({ outcome }) => outcome.unsent)) / seconds;
    report.figure('  sent, not sent', `${sent.toFixed(0)}, ${unsent.toFixed(0)} a second`);
    report.figure('  cores', runs.at(-1)?.cores ?? '');
  }
}

function goodputOf({ outcome }: Run): number {
  return outcome.goodput;
}

function efficiencyOf({ perCoreSecond }: Run): number {
  return perCoreSecond;
}

function shareOf({ over, atCapacity }: Turn, figure: (run: Run) => number): number {
  return figure(over) / mean(atCapacity.map(figure));
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

async function run(fleet: Fleet, how: { rate: number } | { callers: number }): Promise<Run> {
  const { service, load, report, size, exchanged, seconds } = fleet;
  await load.ask('open', service.port, 'callers' in how ? how.callers : CONNECTIONS);
  const kill = { name: 'kill', session: UNKNOWN_ID, nodes: range(exchanged, exchanged + size) };
  const { outcomes, processors, elapsed } = await runLoad(fleet, seconds, { ...kill, ...how });
  const [outcome] = outcomes;
  if (outcome === undefined) throw new Error('The load has no outcome.');
  const answered = outcome.statuses[200] ?? 0;
  const perCoreSecond = answered / elapsed / (processors.cores['service'] ?? NaN);
  report.progress(`${outcome.goodput.toFixed(0)} a second; cores: ${processors.text}`);
  return { outcome, perCoreSecond, cores: processors.text };
}

function p99(runs: readonly Run[]): string {
  const all = runs.flatMap(({ outcome }) => outcome.milliseconds);
  return `p99 of the 200s ${quantile(all, 0.99).toFixed(0)} ms`;
}
