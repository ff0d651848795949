import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../fleet/child.ts';
import { Client, killRequest, WARM_UP_CONNECTIONS } from './client.ts';
import { Driver } from './driver.ts';
import type { floorAnswers } from './floor-process.ts';
import { using, type ServerRig } from './rig.ts';
import { interleave, repeat, timed, type Lane } from './rounds.ts';
import { createService } from './service.ts';
import { findMysqladmin, findPtKill, mysqladminKill, ptKill, Shell } from './shell.ts';

/** The number of kills of a lane in a round. */
const KILLS = 30;
/** The number of kills of a slow lane in a round. */
const SLOW_KILLS = 10;
/** V8 compiles code step by step while it runs. After this number of requests, it has compiled the code that matters. */
const WARM_UPS = 5000;
const WARM_UP_KILLS = 1500;
/** An id that no session has during a run. */
const UNKNOWN_ID = 2_000_000_000;
/** A line as long as the audit record of one kill. */
const LINE = `${'x'.repeat(420)}\n`;

/** Measurement a: one kill over a warm connection, by the service without and with audit, by its parts, and by other tools. */
export async function measureKill(rig: ServerRig): Promise<void> {
  const { build, node } = rig;
  const nodePorts = [node.server.port];
  const plain = createService(build, { nodePorts });
  const audited = createService(build, { nodePorts, isAudited: true });
  const floor = new Child<typeof floorAnswers>('../bench/floor-process.ts');
  const bare = new Child<typeof floorAnswers>('../bench/floor-process.ts');
  const shell = new Shell();
  const file = openSync(join(build.folder, 'lines'), 'a');
  const undo = async (): Promise<void> => {
    shell.close();
    for (const service of [plain, audited]) service.remove();
    await Promise.all([floor.stop(), bare.stop()]);
    closeSync(file);
  };
  await using(rig, undo, async () => {
    await Promise.all([plain.launch(), audited.launch()]);
    const driver = await Driver.connect(node.server.port);
    const clients = {
      floor: new Client(await floor.ask('start', build.dist)),
      bare: new Client(await bare.ask('start', build.dist, node.server.port)),
      plain: new Client(plain.port),
      audited: new Client(audited.port),
    };
    for (const client of Object.values(clients)) {
      await client.warmUp(killRequest(0, [UNKNOWN_ID]), WARM_UPS);
    }
    await repeat(WARM_UPS / 4, () => driver.query('SHOW PROCESSLIST'));
    const killing = (
      name: string,
      kill: (id: number) => Promise<unknown>,
      count = KILLS,
    ): Lane => ({ name, run: () => killEach(rig, count, kill) });
    const killingOver = (name: string, client: Client): Lane => ({
      name,
      run: () => killEach(rig, KILLS, (id) => client.kill(0, [id]), client),
    });
    const lanes: Lane[] = [
      {
        name: LANES.floor,
        run: async () => {
          await clients.floor.ready();
          return repeat(KILLS, () => clients.floor.ask(killRequest(0, [UNKNOWN_ID])));
        },
      },
      killing(LANES.driver, (id) => driver.listAndKill(id)),
      killingOver(LANES.bare, clients.bare),
      killingOver(LANES.plain, clients.plain),
      killingOver(LANES.audited, clients.audited),
      {
        name: LANES.disk,
        run: () =>
          repeat(KILLS, () => {
            writeSync(file, LINE);
            fdatasyncSync(file);
            return Promise.resolve();
          }),
      },
      ...(await shellLanes(rig, shell, killing)),
    ];
    const kills = WARM_UP_KILLS / WARM_UP_CONNECTIONS;
    for (let connection = 0; connection < WARM_UP_CONNECTIONS; connection += 1) {
      await killEach(rig, kills, (id) => driver.listAndKill(id));
      for (const client of [clients.bare, clients.plain, clients.audited]) {
        await client.reconnect();
        await killEach(rig, kills, (id) => client.kill(0, [id]), client);
      }
    }
    const samples = await interleave(lanes, rig.rounds, (round) => {
      rig.progress(`one kill, round ${round} of ${rig.rounds}`);
    });
    driver.close();
    for (const client of Object.values(clients)) client.close();
    addFigures(rig, samples);
  });
}

const LANES = {
  floor: 'bare Express app',
  driver: 'bare driver: SHOW PROCESSLIST, KILL',
  bare: 'bare app with the driver in it',
  plain: 'service',
  audited: 'service with audit',
  disk: 'write + fdatasync',
  mysqladmin: 'mysqladmin kill',
  ptKill: 'pt-kill',
};

/** Opens victims, measures each kill, and waits until the victims are gone. */
async function killEach(
  { node }: ServerRig,
  count: number,
  kill: (id: number) => Promise<unknown>,
  client?: Client,
): Promise<number[]> {
  const taken: number[] = [];
  const ids = await node.victims(count);
  await client?.ready();
  for (const id of ids) taken.push(await timed(() => kill(id)));
  await node.settled();
  return taken;
}

async function shellLanes(
  { node, results }: ServerRig,
  shell: Shell,
  killing: (name: string, kill: (id: number) => Promise<unknown>, count: number) => Lane,
): Promise<Lane[]> {
  const { port } = node.server;
  const lanes: Lane[] = [];
  const mysqladmin = await findMysqladmin();
  if (mysqladmin === undefined) results.note('mysqladmin is not installed on this machine.');
  else {
    const kill = (id: number) => shell.run(mysqladminKill(mysqladmin, port, [id]));
    lanes.push(killing(LANES.mysqladmin, kill, SLOW_KILLS));
  }
  const pt = findPtKill();
  if (pt === undefined) results.note('pt-kill is not on the PATH, so its lane is missing.');
  else lanes.push(killing(LANES.ptKill, (id) => shell.run(ptKill(pt, port, id)), 1));
  return lanes;
}

function addFigures(
  { results, name }: ServerRig,
  samples: ReadonlyMap<string, readonly number[]>,
): void {
  const p50 = new Map(
    [...samples].map(([lane, taken]) => [lane, results.lane('a', name, lane, taken)]),
  );
  const of = (lane: string): number => p50.get(lane) ?? NaN;
  const floor = of(LANES.floor) + of(LANES.driver);
  const aim = { atMost: 1.1, near: 1.25 };
  const audited = of(LANES.audited) / (floor + of(LANES.disk));
  results.figure('a', name, 'service / (app + driver)', of(LANES.plain) / floor, aim);
  results.figure('a', name, 'with audit / (app + driver + fdatasync)', audited, aim);
  const mysqladmin = of(LANES.mysqladmin) / of(LANES.plain);
  results.figure('a', name, 'mysqladmin kill / service', mysqladmin, { atLeast: 4.5 });
}
