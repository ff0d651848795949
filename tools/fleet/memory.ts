import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../lib/until.ts';
import { nodesFrom, runLoad, warmNodes, type Fleet } from './fleet.ts';
import { range } from './names.ts';
import { watchProcessors } from './processor.ts';
import { FIRST_SESSION } from './simulated-node.ts';
import { median } from '../lib/statistics.ts';

const ROUNDS = 3;
const SAMPLES = 5;
const COLLECTIONS = 8;
const MOST_KB = 40;
/** The first pings come 15 s after connecting. */
const FIRST_PINGS_MS = 15_000;

/** Resident memory in KB. */
interface Memory {
  readonly asItRuns: number;
  readonly collected: number;
}

/** Measures the memory of the service without and with all connections, and how long they take. It is left running, and warm. */
export async function measureMemory(fleet: Fleet): Promise<void> {
  const { service, report, size } = fleet;
  const without: Memory[] = [];
  const within: Memory[] = [];
  const times: { listening: number; warm: number }[] = [];
  let idle = '';
  for (let round = 1; round <= ROUNDS; round += 1) {
    report.progress(`memory, round ${round} of ${ROUNDS}`);
    await service.stop();
    service.configure('on_demand', nodesFrom(fleet, 0, size));
    await service.launch();
    without.push(await settledMemory(fleet));
    await service.stop();
    service.configure('all', nodesFrom(fleet, 0, size));
    await until(
      'the old connections have gone',
      async () => (await warmNodes(fleet, 0, size)) === 0,
    );
    times.push(await startWarm(fleet));
    await sleep(FIRST_PINGS_MS);
    idle = await watchPings(fleet);
    within.push(await settledMemory(fleet));
  }
  const used = await memoryAfterKills(fleet);

  report.section('Memory of the service: resident; and after its garbage was collected');
  report.figure(`${size} nodes known, none connected`, told(without));
  report.figure(`${size} nodes warm`, told(within));
  report.figure('the same, after a kill on each', told([used]));
  const each = perNode(fleet, without, within, ({ collected }) => collected);
  const isMet = each <= MOST_KB;
  report.aim('a warm node, collected', `${each.toFixed(1)} KB`, `at most ${MOST_KB} KB`, isMet);
  const asItRuns = perNode(fleet, without, within, (memory) => memory.asItRuns);
  report.figure('a warm node, as it runs', `${asItRuns.toFixed(1)} KB`);
  const afterKill = perNode(fleet, without, [used], ({ collected }) => collected);
  report.figure('a warm node with a kill, collected', `${afterKill.toFixed(1)} KB`);
  report.figure('open files with all warm', String(service.openFiles()));
  report.figure('nothing asked, all warm', idle);
  report.section('Warming');
  report.figure('from its start until it listens', toldSeconds(times.map((one) => one.listening)));
  report.figure(`from its start until ${size} are warm`, toldSeconds(times.map((one) => one.warm)));
}

async function startWarm(fleet: Fleet): Promise<{ listening: number; warm: number }> {
  const begun = performance.now();
  await fleet.service.launch();
  const listening = performance.now() - begun;
  const areWarm = async (): Promise<boolean> =>
    (await warmNodes(fleet, 0, fleet.size)) === fleet.size;
  await until('all nodes are warm', areWarm, 120_000);
  return { listening, warm: performance.now() - begun };
}

/** What keeping the connections warm costs while nobody asks for anything. */
async function watchPings({ service, nodes, size, seconds }: Fleet): Promise<string> {
  const shares = watchProcessors({ service: service.processId });
  const before = await nodes.ask('counts', 0, size);
  const begun = performance.now();
  await sleep(seconds * 1000);
  const { pings } = await nodes.ask('counts', 0, size);
  const rate = ((pings - before.pings) / (performance.now() - begun)) * 1000;
  const cores = shares().cores['service'] ?? NaN;
  return `${rate.toFixed(0)} pings a second, ${(cores * 100).toFixed(1)} % of a core`;
}

async function memoryAfterKills(fleet: Fleet): Promise<Memory> {
  const { size, seconds } = fleet;
  const kill = { name: 'kill', nodes: range(0, size), session: FIRST_SESSION };
  await runLoad(fleet, seconds * 2, { ...kill, rate: size / seconds / 2 });
  return settledMemory(fleet);
}

/** Once nothing has been asked for a while: the medians of some samples. */
async function settledMemory({ service, seconds }: Fleet): Promise<Memory> {
  await sleep(seconds * 1000);
  const asItRuns = await sampledKb(() => service.residentKb());
  // One time frees only a part of what is not needed, and that a moment later.
  for (let time = 0; time < COLLECTIONS; time += 1) {
    service.collectGarbage();
    await sleep(1000);
  }
  return { asItRuns, collected: await sampledKb(() => service.residentKb()) };
}

async function sampledKb(read: () => number): Promise<number> {
  const samples: number[] = [];
  while (samples.push(read()) < SAMPLES) await sleep(500);
  return median(samples);
}

function perNode(
  { size }: Fleet,
  without: readonly Memory[],
  within: readonly Memory[],
  of: (memory: Memory) => number,
): number {
  return (median(within.map(of)) - median(without.map(of))) / size;
}

function told(memories: readonly Memory[]): string {
  const [asItRuns, collected] = [
    memories.map((memory) => memory.asItRuns / 1024),
    memories.map((memory) => memory.collected / 1024),
  ];
  const each = collected.map((mb) => mb.toFixed(0)).join(', ');
  return `${median(asItRuns).toFixed(1)} MB; ${median(collected).toFixed(1)} MB (${each})`;
}

function toldSeconds(milliseconds: readonly number[]): string {
  const each = milliseconds.map((one) => (one / 1000).toFixed(2)).join(', ');
  return `${(median(milliseconds) / 1000).toFixed(2)} s (${each})`;
}
