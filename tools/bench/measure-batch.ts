import { Child } from '../fleet/child.ts';
import { Client } from './client.ts';
import { Driver } from './driver.ts';
import type { latencyAnswers } from './latency-process.ts';
import { using, type ServerRig } from './rig.ts';
import { interleave, repeat, timed, type Lane } from './rounds.ts';
import { createService } from './service.ts';
import { findMysqladmin, mysqladminKill, Shell } from './shell.ts';

const BATCH = 1000;
const ROUND_TRIP_MS = 1;
/** The numbers of the two nodes: the same server, without and with added latency. */
const NEAR = 0;
const FAR = 1;

/** Measurement b: 1,000 ids in one request, on a node with a round trip of 1 ms, and on a node without added latency. */
export async function measureBatch(rig: ServerRig): Promise<void> {
  const { build, node, results, name } = rig;
  const { port, flavour } = node.server;
  const mysqladmin = await findMysqladmin();
  const latency = new Child<typeof latencyAnswers>('../bench/latency-process.ts');
  const far = await latency.ask('addLatency', port, ROUND_TRIP_MS);
  const service = createService(build, { nodePorts: [port, far] });
  const shell = new Shell();
  const undo = async (): Promise<void> => {
    shell.close();
    service.remove();
    await latency.stop();
  };
  await using(rig, undo, async () => {
    await service.launch();
    const client = new Client(service.port);
    const byService = (which: number) => async (ids: readonly number[]) => client.kill(which, ids);
    const byHand = (to: number) => (ids: readonly number[]) =>
      shell.run(mysqladminKill(mysqladmin ?? '', to, ids));
    const lane = (lane: string, kill: (ids: readonly number[]) => Promise<void>): Lane => ({
      name: lane,
      run: async () => {
        const ids = await node.victims(BATCH);
        await client.ready();
        const taken = await timed(() => kill(ids));
        await node.settled();
        return [taken];
      },
    });
    const lanes = [
      lane(LANES.farService, byService(FAR)),
      ...(mysqladmin === undefined ? [] : [lane(LANES.farHand, byHand(far))]),
      lane(LANES.nearService, byService(NEAR)),
      ...(mysqladmin === undefined ? [] : [lane(LANES.nearHand, byHand(port))]),
    ];
    const rounds = Math.ceil(rig.rounds / 2);
    const samples = await interleave(lanes, rounds, (round) => {
      rig.progress(`${BATCH} ids in one request, round ${round} of ${rounds}`);
    });
    client.close();
    results.lane('b', name, 'round trip of the long line (SELECT 1)', await roundTrips(far));
    const p50 = new Map(
      [...samples].map(([lane, taken]) => [lane, results.lane('b', name, lane, taken)]),
    );
    const ratio = (p50.get(LANES.farService) ?? NaN) / (p50.get(LANES.farHand) ?? NaN);
    const atMost = flavour === 'mariadb' ? 0.1 : 0.2;
    results.figure('b', name, 'service / mysqladmin kill, far', ratio, { atMost });
  });
}

const LANES = {
  farService: 'service, 1 ms away',
  farHand: 'mysqladmin kill, 1 ms away',
  nearService: 'service, near',
  nearHand: 'mysqladmin kill, near',
};

async function roundTrips(port: number): Promise<number[]> {
  const driver = await Driver.connect(port);
  await repeat(100, () => driver.query('SELECT 1'));
  const taken = await repeat(300, () => driver.query('SELECT 1'));
  driver.close();
  return taken;
}
