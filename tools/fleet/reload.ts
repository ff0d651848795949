import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../lib/until.ts';
import { nodesFrom, runLoad, warmNodes, type Fleet } from './fleet.ts';
import { range } from './names.ts';
import { FIRST_SESSION } from './simulated-node.ts';
import { quantile, formatCounts } from '../lib/statistics.ts';

const RATE = 100;

/** Measures a reload that replaces a part of the nodes while requests go to the nodes that stay and to those that it removes. */
export async function measureReload(fleet: Fleet): Promise<void> {
  const { service, nodes, report, size, exchanged, seconds } = fleet;
  report.progress(`a reload that adds ${exchanged} nodes and removes as many`);
  const counts = () =>
    Promise.all([
      nodes.ask('counts', 0, exchanged),
      nodes.ask('counts', exchanged, size),
      nodes.ask('counts', size, size + exchanged),
    ]);
  const stream = { session: FIRST_SESSION, rate: RATE };
  const stay = { ...stream, name: 'stay', nodes: range(exchanged, size) };
  const go = { ...stream, name: 'go', nodes: range(0, exchanged) };
  // The same load without a reload, for comparison.
  const calm = await runLoad(fleet, seconds, stay, go);
  const before = await counts();
  const loading = runLoad(fleet, seconds, stay, go);
  await sleep(seconds * 300);
  service.configure('all', nodesFrom(fleet, exchanged, size + exchanged));
  const begun = performance.now();
  await service.reload();
  const reloaded = performance.now() - begun;
  const areWarm = async (): Promise<boolean> =>
    (await warmNodes(fleet, size, size + exchanged)) === exchanged;
  await until('the new nodes are warm', areWarm, 60_000);
  const warm = performance.now() - begun;
  const { outcomes, processors } = await loading;
  const areGone = async (): Promise<boolean> => (await warmNodes(fleet, 0, exchanged)) === 0;
  await until('the service has disconnected from the removed nodes', areGone);
  const after = await counts();
  const added = await runLoad(fleet, seconds / 2, {
    ...{ ...stream, name: 'added', nodes: range(size, size + exchanged) },
  });

  const moved = before.map(({ opened, closed }, index) => ({
    opened: (after[index]?.opened ?? NaN) - opened,
    closed: (after[index]?.closed ?? NaN) - closed,
  }));
  const formatMoved = (index: number): string =>
    `${moved[index]?.opened ?? NaN} opened, ${moved[index]?.closed ?? NaN} closed`;
  const haveStayed = moved[1]?.opened === 0 && moved[1].closed === 0;
  const failed = [outcomes[0], added.outcomes[0]].flatMap((outcome) =>
    Object.keys(outcome?.statuses ?? {}).filter((status) => status !== '200'),
  );
  const odd = Object.keys(outcomes[1]?.statuses ?? {}).filter((one) => !/^(200|404)$/.test(one));
  report.section(`A reload: ${exchanged} nodes added, ${exchanged} removed`);
  report.aim(`connections of the ${size - exchanged} others`, formatMoved(1), 'none', haveStayed);
  report.figure('connections of the removed', formatMoved(0));
  report.figure('connections of the added', formatMoved(2));
  const statuses = outcomes.map((outcome) => formatCounts(outcome.statuses));
  const areFine = failed.length === 0 && odd.length === 0;
  report.aim('answers of the nodes that stay', statuses[0] ?? '', 'all 200', areFine);
  report.figure('answers of the removed nodes', statuses[1] ?? '');
  report.figure(
    'answers of the added nodes, later',
    formatCounts(added.outcomes[0]?.statuses ?? {}),
  );
  report.figure('time until the files were read', `${reloaded.toFixed(0)} ms`);
  report.figure('time until the added nodes were warm', `${warm.toFixed(0)} ms`);
  const longest = [calm.outcomes[0], outcomes[0]].map((outcome) =>
    quantile(outcome?.milliseconds ?? [], 1).toFixed(0),
  );
  report.figure('longest request without, with a reload', `${longest.join(' ms, ')} ms`);
  report.figure('cores', processors.text);
}
