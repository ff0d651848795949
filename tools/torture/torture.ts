import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerKind } from '../server-binaries.ts';
import type { TortureSettings } from './arguments.ts';
import { call } from './callers.ts';
import type { History } from './history.ts';
import { torment, tormentService } from './nemesis.ts';
import type { TortureNode } from './node.ts';
import { Population } from './population.ts';
import { Random } from './random.ts';
import type { Scenery } from './requests.ts';
import { Service, type ServiceOptions } from './service.ts';
import { DEATH_MS } from './view.ts';
import { Observer } from './observer.ts';

/** Undoes what was done, the last thing first; each is tried, whatever becomes of the others. */
export type Undos = (() => Promise<void> | void)[];

/** What a run needs besides its settings. */
export interface TortureParts {
  readonly nodes: readonly TortureNode[];
  readonly service: ServiceOptions;
  /** Where everything that happens goes. */
  readonly history: History;
  /** Has the run end early. */
  readonly interruption: AbortSignal;
  /** What the run brought up stands here from the beginning on. */
  readonly undos: Undos;
  readonly say: (line: string) => void;
}

/** An incarnation lasts so long at least: a request is refused as long as the server may have started after it. */
const LIFE_MS = 3_500;
const YOUTH_MS = 2_000;
const LAG_EVERY_MS = 10;
const SHORTEST_LAG_MS = 10;
const SHORTEST_WAIT_MS = 1;
const REPORT_EVERY_MS = 10_000;

/**
 * Lets callers and nemesis loose on the nodes until the operations are done or the time is up, and waits for the killed to be
 * gone. Resolves with the audit file, if there is one; rejects when it could not do its work.
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
  await sleep(YOUTH_MS);

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
    return torment({ node, scenery, history, random, goesOn, acts, lifeMs: LIFE_MS });
  });
  const ofService = tormentService(service, new Random(seed, 'nemesis of the service'), goesOn);
  await Promise.all([...callers, ...nemeses, ofService]);

  for (const { population, observer } of sceneries.values()) {
    await Promise.all([population.freeze(), observer.end()]);
  }
  // What was said to be killed has so long to be gone.
  if (!interruption.aborted) await sleep(DEATH_MS + 200);
  for (const { observer } of sceneries.values()) await observer.look();
  history.of({ what: 'end' });
  if (service.hasFailed)
    throw new Error(`The service ended by itself: ${service.output.slice(-2000)}`);
  return service.audit();
}

/** Clients for each node, and somebody who looks. */
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
  if (scenery === undefined) throw new Error(`Nobody lives on ${kind}.`);
  return scenery;
}

/** Has the history know when this process was too late to see things as they happened, and tells how far it is. */
function watch({ history, say }: TortureParts, service: Service): () => void {
  let last = performance.now();
  const lag = setInterval(() => {
    const now = performance.now();
    const ms = now - last - LAG_EVERY_MS;
    last = now;
    if (ms > SHORTEST_LAG_MS) history.of({ what: 'lag', of: 'torture', ms });
    const waited = service.waitedMs();
    if (waited > SHORTEST_WAIT_MS) history.of({ what: 'lag', of: 'service', ms: waited });
  }, LAG_EVERY_MS);
  const report = setInterval(() => {
    say(`${history.operations} operations`);
  }, REPORT_EVERY_MS);
  return () => {
    clearInterval(lag);
    clearInterval(report);
  };
}
