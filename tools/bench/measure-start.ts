import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, getRequest } from './client.ts';
import { using, type ServerRig } from './rig.ts';
import { interleave, timed } from './rounds.ts';
import { createService } from './service.ts';

/** The idle time before the memory is measured. */
const IDLE_MS = 3000;

/** Measurement f: the time from the start of the process to its first response, a list, and the memory of the idle service. */
export async function measureStart(rig: ServerRig): Promise<void> {
  const { build, node, results, name } = rig;
  const service = createService(build, { nodePorts: [node.server.port] });
  const residents: number[] = [];
  const run = async (): Promise<number[]> => {
    const taken = await timed(async () => {
      await service.launch();
      const client = new Client(service.port);
      await client.ready();
      const { status } = await client.ask(getRequest(0));
      client.close();
      assert(status === 200, `A list was answered with ${status}`);
    });
    await sleep(IDLE_MS);
    residents.push(service.residentKb() / 1024);
    await service.stop();
    return [taken];
  };
  await using(
    rig,
    () => {
      service.remove();
    },
    async () => {
      const rounds = Math.ceil(rig.rounds / 2);
      const samples = await interleave([{ name: LANE, run }], rounds, (round) => {
        rig.progress(`start, round ${round} of ${rounds}`);
      });
      const start = results.lane('f', name, LANE, samples.get(LANE) ?? []);
      const resident = results.lane('f', name, 'resident memory, idle', residents.slice(1), 'MB');
      results.figure('f', name, 'ms to the first answer', start, { atMost: 1000 });
      results.figure('f', name, 'MB resident', resident, { atMost: 120 });
    },
  );
}

const LANE = 'from the start to the first answer';
