import { cpus, loadavg } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Build } from '../lib/build.ts';
import { REPOSITORY } from '../lib/launched-service.ts';
import { until } from '../lib/until.ts';
import { complaint } from '../server-binaries.ts';
import { onceSignalled, readCommandLine } from '../lib/command-line.ts';
import { measureBulkhead } from './bulkhead.ts';
import { Child } from './child.ts';
import { nodesFrom, warmNodes, type Fleet } from './fleet.ts';
import type { loadAnswers } from './load-process.ts';
import { measureMemory } from './memory.ts';
import type { nodesAnswers } from './nodes-process.ts';
import { measureOverload } from './overload.ts';
import { measureReload } from './reload.ts';
import { Report } from './report.ts';
import { Service } from './service.ts';

const PHASES = {
  memory: measureMemory,
  reload: measureReload,
  bulkhead: measureBulkhead,
  overload: measureOverload,
};
type Phase = keyof typeof PHASES;

const USAGE = `usage: npm run fleet [-- --nodes N] [--seconds N] [--source DIR] [--only PHASE[,PHASE]]

Measures the service with many simulated nodes: its memory, a reload, the effect of black-holed
nodes on healthy ones, and overload.

  --nodes    the number of nodes in the registry (default 2000); more are simulated
  --seconds  the duration of the shortest phase (default 10)
  --source   the checkout to build and measure (default: this one)
  --only     some of the phases, separated by commas (default ${Object.keys(PHASES).join(',')})
  --help     shows this text
`;

process.exit(await main());

async function main(): Promise<number> {
  const settings = readCommandLine(USAGE, () => readArguments());
  if (typeof settings === 'number') return settings;
  const signalled = onceSignalled();
  const undos: Undos = [];
  try {
    return await Promise.race([measure(settings, undos), signalled]);
  } catch (error) {
    say(complaint(error));
    return 1;
  } finally {
    await Promise.all(undos.map((undo) => undo()));
  }
}

async function measure(settings: Settings, undos: Undos): Promise<number> {
  const { size, seconds, source, phases } = settings;
  const build = new Build();
  undos.push(() => build.remove());
  const [service, twin] = [new Service(build), new Service(build)];
  undos.push(() => {
    for (const each of [service, twin]) each.remove();
  });
  const nodes = new Child<typeof nodesAnswers>('./nodes-process.ts');
  undos.push(() => nodes.stop());
  const load = new Child<typeof loadAnswers>('./load-process.ts');
  undos.push(() => load.stop());
  const report = new Report(say);
  const exchanged = Math.floor(size / 4);
  const average = loadavg().map((one) => one.toFixed(1));
  report.section(
    `${size} nodes; Node ${process.version}, ${cpus().length} cores for all processes, load average before ${average.join(' ')}`,
  );
  report.progress('building the service');
  await build.make(source);
  // The nodes of the service, those that a reload adds, and half as many again for the twin.
  const ports = await nodes.ask('start', size + exchanged + size / 2);
  const fleet: Fleet = { service, twin, nodes, load, ports, size, exchanged, seconds, report };
  if (!phases.includes('memory')) await startWarm(fleet, phases.includes('reload') ? 0 : exchanged);
  for (const phase of phases) await PHASES[phase](fleet);
  report.print();
  return 0;
}

type Undos = (() => unknown)[];

interface Settings {
  readonly size: number;
  readonly seconds: number;
  readonly source: string;
  readonly phases: readonly Phase[];
}

function readArguments(): Settings | undefined {
  const { values } = parseArgs({
    options: {
      nodes: { type: 'string', default: '2000' },
      seconds: { type: 'string', default: '10' },
      source: { type: 'string', default: REPOSITORY },
      only: { type: 'string', default: Object.keys(PHASES).join(',') },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const size = Number(values.nodes);
  const seconds = Number(values.seconds);
  if (!Number.isInteger(size) || size < 4 || size % 4 !== 0) {
    throw new Error('--nodes must be a multiple of 4.');
  }
  if (!(seconds > 0)) throw new Error('--seconds must be a number above 0.');
  const phases = values.only.split(',');
  if (!phases.every(isPhase))
    throw new Error(`--only accepts only ${Object.keys(PHASES).join(', ')}.`);
  return { size, seconds, source: resolve(values.source), phases };
}

/** Starts the service in the state in which the skipped phases would leave it. */
async function startWarm(fleet: Fleet, first: number): Promise<void> {
  const { service, size, report } = fleet;
  report.progress('waiting until all nodes are warm');
  service.configure('all', nodesFrom(fleet, first, first + size));
  await service.launch();
  const isWarm = async (): Promise<boolean> =>
    (await warmNodes(fleet, first, first + size)) === size;
  await until('all nodes are warm', isWarm, 60_000);
}

function isPhase(name: string): name is Phase {
  return Object.hasOwn(PHASES, name);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
