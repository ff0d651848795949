import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerKind } from '../server-binaries.ts';
import type { TortureSettings } from './arguments.ts';
import { call } from './callers.ts';
import type { History } from './history.ts';
import { runNemesis, runServiceNemesis } from './nemesis.ts';
import type { TortureNode } from './node.ts';
import { Population } from './population.ts';
import { Random } from './random.ts';
import type { Scenery } from './requests.ts';
import { Service, type ServiceOptions } from './service.ts';
import { DEATH_MS } from './view.ts';
import { Observer } from './observer.ts';

/** The cleanup steps of a run. All of them run in reverse order, even if one fails. */
export type Undos = (() => Promise<void> | void)[];

/** The dependencies of a run. */
export interface TortureParts {
  readonly nodes: readonly TortureNode[];
  readonly service: ServiceOptions;
  /** Records all events. */
  readonly history: History;
  /** Ends the run early. */
  readonly interruption: AbortSignal;
  /** The run adds a cleanup step for each thing that it starts. */
  readonly undos: Undos;
  readonly say: (line: string) => void;
}

/** The minimum life of an incarnation. The service refuses requests while the server may have started after them. */
const LIFE_MS = 3_500;
const WARM_UP_MS = 2_000;
const LAG_EVERY_MS = 10;
const MIN_LAG_MS = 10;
const MIN_WAIT_MS = 1;
const REPORT_EVERY_MS = 10_000;

/**
 * Runs callers and nemeses against the nodes until the operations are done or the time is up. Then waits until killed sessions are gone.
 * Resolves to the audit file, if there is one. Rejects if the service ends by itself or does not start.
 */
export async function torture(
  settings: Pick<TortureSettings, 'seed' | 'operations' | 'minutes' | 'acts' | 'callers'>,
  parts: TortureParts,
): Promise<string | undefined> {
  const { nodes, history, interruption, undos } = parts;
  const { seed, acts } = settings;
  for (const node of nodes) node.recordIn(history);
  const service = new Service(parts.service, nodes, history);
  undos.push(() => {
    service.remove();
  });
  await service.launch();
  undos.push(watch(parts, service));
  const sceneries = populate(seed, parts);
  await sleep(WARM_UP_MS);

  const endsAt = performance.now() + settings.minutes * 60_000;
  const isTime = (): boolean => performance.now() < endsAt && !interruption.aborted;
  const goesOn = (): boolean => isTime() && history.operations < settings.operations;
  const callers = Array.from({ length: settings.callers }, (_, index) => {
    const random = new Random(seed, `caller ${index}`);
    return call({ service, history, nodes: sceneries, random, goesOn });
  });
  const nemeses = nodes.map((node) => {
    const random = new Random(seed, `nemesis of ${node.kind}`);
    const scenery = sceneryOf(node, sceneries);
    return runNemesis({ node, scenery, history, random, goesOn, acts, lifeMs: LIFE_MS });
  });
  const random = new Random(seed, 'nemesis of the service');
  const serviceNemesis = runServiceNemesis(service, random, goesOn);
  await Promise.all([...callers, ...nemeses, serviceNemesis]);

  for (const { population, observer } of sceneries.values()) {
    await Promise.all([population.freeze(), observer.end()]);
  }
  // Killed sessions have this time to be gone.
  if (!interruption.aborted) await sleep(DEATH_MS + 200);
  for (const { observer } of sceneries.values()) await observer.look();
  history.of({ what: 'end' });
  if (service.hasFailed)
    throw new Error(`The service ended by itself: ${service.output.slice(-2000)}`);
  return service.audit();
}

/** Starts the clients and the observer of each node. */
function populate(
  seed: number,
  { nodes, history, undos }: TortureParts,
): ReadonlyMap<ServerKind, Scenery> {
  const sceneries = new Map<ServerKind, Scenery>();
  for (const node of nodes) {
    const random = new Random(seed, `population of ${node.kind}`);
    const population = new Population(node, history, random);
    const observer = new Observer(node, history);
    sceneries.set(node.kind, { node, population, observer });
    undos.push(async () => {
      await Promise.all([population.freeze(), observer.end()]);
      population.closeAll();
      observer.closeAll();
    });
    observer.begin();
    population.begin();
  }
  return sceneries;
}

function sceneryOf({ kind }: TortureNode, sceneries: ReadonlyMap<ServerKind, Scenery>): Scenery {
  const scenery = sceneries.get(kind);
  if (scenery === undefined) throw new Error(`The node ${kind} has no clients.`);
  return scenery;
}

/** Records when this process or the service could not run, and prints the progress every 10 s. Returns a function that stops this. */
function watch({ history, say }: TortureParts, service: Service): () => void {
  let last = performance.now();
  const lag = setInterval(() => {
    const now = performance.now();
    const ms = now - last - LAG_EVERY_MS;
    last = now;
    if (ms > MIN_LAG_MS) history.of({ what: 'lag', of: 'torture', ms });
    const waited = service.waitedMs();
    if (waited > MIN_WAIT_MS) history.of({ what: 'lag', of: 'service', ms: waited });
  }, LAG_EVERY_MS);
  const report = setInterval(() => {
    say(`${history.operations} operations`);
  }, REPORT_EVERY_MS);
  return () => {
    clearInterval(lag);
    clearInterval(report);
  };
}
