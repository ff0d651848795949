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
const MAX_KB = 40;
/** The service sends the first pings 15 s after it has connected. */
const FIRST_PINGS_MS = 15_000;

/** Resident memory in KB. */
interface Memory {
  /** Before a garbage collection. */
  readonly asItRuns: number;
  /** After a garbage collection. */
  readonly collected: number;
}

/** Measures the memory of the service without and with all connections, and the time to open them. The service stays up and warm. */
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
      'the old connections are closed',
      async () => (await warmNodes(fleet, 0, size)) === 0,
    );
    times.push(await startWarm(fleet));
    await sleep(FIRST_PINGS_MS);
    idle = await watchPings(fleet);
    within.push(await settledMemory(fleet));
  }
  const used = await memoryAfterKills(fleet);

  report.section('Resident memory of the service: as it runs; after a garbage collection');
  report.figure(`${size} nodes known, none connected`, formatMemory(without));
  report.figure(`${size} nodes warm`, formatMemory(within));
  report.figure('the same, after a kill on each', formatMemory([used]));
  const each = perNode(fleet, without, within, ({ collected }) => collected);
  const isMet = each <= MAX_KB;
  report.aim('a warm node, collected', `${each.toFixed(1)} KB`, `at most ${MAX_KB} KB`, isMet);
  const asItRuns = perNode(fleet, without, within, (memory) => memory.asItRuns);
  report.figure('a warm node, as it runs', `${asItRuns.toFixed(1)} KB`);
  const afterKill = perNode(fleet, without, [used], ({ collected }) => collected);
  report.figure('a warm node with a kill, collected', `${afterKill.toFixed(1)} KB`);
  report.figure('open files with all warm', String(service.openFiles()));
  report.figure('without requests, all warm', idle);
  report.section('Start');
  const listening = times.map((one) => one.listening);
  report.figure('from the start until the service listens', formatSeconds(listening));
  const warm = times.map((one) => one.warm);
  report.figure(`from the start until ${size} nodes are warm`, formatSeconds(warm));
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

/** Measures the cost of warm connections without requests. */
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

/** Waits without requests, then samples the memory. Returns medians. */
async function settledMemory({ service, seconds }: Fleet): Promise<Memory> {
  await sleep(seconds * 1000);
  const asItRuns = await sampledKb(() => service.residentKb());
  // One collection frees only a part of the garbage, and the memory shrinks a moment later.
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

function formatMemory(memories: readonly Memory[]): string {
  const [asItRuns, collected] = [
    memories.map((memory) => memory.asItRuns / 1024),
    memories.map((memory) => memory.collected / 1024),
  ];
  const each = collected.map((mb) => mb.toFixed(0)).join(', ');
  return `${median(asItRuns).toFixed(1)} MB; ${median(collected).toFixed(1)} MB (${each})`;
}

function formatSeconds(milliseconds: readonly number[]): string {
  const each = milliseconds.map((one) => (one / 1000).toFixed(2)).join(', ');
  return `${(median(milliseconds) / 1000).toFixed(2)} s (${each})`;
}
