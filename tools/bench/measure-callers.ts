import { Child } from '../fleet/child.ts';
import { HttpConnection } from '../fleet/http-connection.ts';
import { killRequest } from './client.ts';
import type { floorAnswers } from './floor-process.ts';
import { using, type ServerRig } from './rig.ts';
import { interleave } from './rounds.ts';
import { createService } from './service.ts';

const CALLERS = 100;
const BLOCK_MS = 2000;
/** The first of the ids that no session has. */
const UNKNOWN_ID = 2_000_000_000;

/** Measurement d: 100 concurrent callers on one node. Each sends a kill of an unknown id as soon as it has the last response. */
export async function measureCallers(rig: ServerRig): Promise<void> {
  const { build, node, results, name } = rig;
  const service = createService(build, { nodePorts: [node.server.port] });
  const floor = new Child<typeof floorAnswers>('../bench/floor-process.ts');
  const undo = async (): Promise<void> => {
    service.remove();
    await floor.stop();
  };
  await using(rig, undo, async () => {
    await service.launch();
    const floorPort = await floor.ask('start', build.dist);
    const listsPerHundred: number[] = [];
    const lanes = [
      { name: LANES.floor, run: async () => [(await crowd(floorPort, BLOCK_MS)) / SECONDS] },
      {
        name: LANES.service,
        run: async () => {
          const before = await node.listCount();
          const answered = await crowd(service.port, BLOCK_MS);
          const lists = (await node.listCount()) - before;
          listsPerHundred.push((lists / answered) * 100);
          return [answered / SECONDS];
        },
      },
    ];
    const rounds = Math.ceil(rig.rounds / 2);
    const samples = await interleave(lanes, rounds, (round) => {
      rig.progress(`${CALLERS} callers, round ${round} of ${rounds}`);
    });
    const p50 = (lane: string): number =>
      results.lane('d', name, lane, samples.get(lane) ?? [], 'requests/s');
    const bare = p50(LANES.floor);
    const ratio = p50(LANES.service) / bare;
    const lists = results.lane(
      'd',
      name,
      'process lists per 100 requests',
      listsPerHundred.slice(1),
      '',
    );
    results.figure('d', name, 'requests/s: service / app', ratio, { atLeast: 0.6 });
    results.figure('d', name, 'process lists per 100 requests', lists, { atMost: 5 });
  });
}

const LANES = { floor: 'bare Express app', service: 'service' };
const SECONDS = BLOCK_MS / 1000;

/** Sends requests from concurrent callers for `ms` milliseconds. Resolves to the number of responses. Rejects if one is not a 200. */
export async function crowd(port: number, ms: number, callers = CALLERS): Promise<number> {
  const connections = Array.from(
    { length: callers },
    () => new HttpConnection(port, () => undefined),
  );
  await Promise.all(connections.map(({ connected }) => connected));
  const end = performance.now() + ms;
  let answered = 0;
  let sent = 0;
  const call = (connection: HttpConnection): Promise<void> =>
    new Promise((resolve, reject) => {
      const next = (): void => {
        sent += 1;
        connection.send(killRequest(0, [UNKNOWN_ID + sent]), (status, body) => {
          if (status !== 200) {
            reject(new Error(`An unknown id was answered with ${status} ${body.slice(0, 500)}`));
          } else if (performance.now() < end) {
            answered += 1;
            next();
          } else resolve();
        });
      };
      next();
    });
  try {
    await Promise.all(connections.map(call));
  } finally {
    for (const connection of connections) connection.close();
  }
  return answered;
}
