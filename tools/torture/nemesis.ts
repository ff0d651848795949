import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../tcp-proxy.ts';
import type { History } from './history.ts';
import type { TortureNode } from './node.ts';
import type { Random } from './random.ts';
import type { Scenery } from './requests.ts';
import type { Service } from './service.ts';

/** The acts of the nemesis, with their weights. */
export const ACTS = {
  /** Cuts, resets, delays or black-holes connections of the service, at a random byte or at a statement. */
  fault: 70,
  /** Stops the server for up to 1.5 s while its connections stay open. */
  pause: 15,
  crash: 4,
  shutdown: 3,
  /** Crashes the server while a KILL or its answer is on the way. The next incarnation starts before the request ends. */
  'crash at KILL': 5,
  /** Crashes the server while the process list is on the way. */
  'crash at list': 5,
  /** Resets new connections to the main port for up to 1 s, so that the service tries the spare port. */
  shut: 4,
  /** Puts a proxy in front of the node. The proxy has session ids of its own and answers each KILL itself. */
  'session proxy': 4,
} as const;

/** The name of an act. */
export type Act = keyof typeof ACTS;

/** The dependencies of a node's nemesis. */
export interface NemesisParts {
  readonly node: TortureNode;
  readonly scenery: Scenery;
  readonly history: History;
  readonly random: Random;
  readonly acts: readonly Act[];
  /** The minimum life of an incarnation. */
  readonly lifeMs: number;
  readonly goesOn: () => boolean;
}

const KILL = 'KILL CONNECTION';
const LIST = 'SHOW PROCESSLIST';
/** The delay of the first list. Requests that arrive meanwhile share the next list. */
const GATHER_MS = 50;
/** Longer than the standstill of MariaDB when it kills a session whose SLEEP begins or ends at that moment. */
const STANDSTILL_MS = 3_000;
const DIRECTIONS = ['to server', 'to client'] as const;

/** Performs random acts on a node until `goesOn` returns false, then heals the node. */
export async function runNemesis(parts: NemesisParts): Promise<void> {
  const { node, random, acts, goesOn } = parts;
  const weights = Object.fromEntries(acts.map((act) => [act, ACTS[act]]));
  let begunAt = performance.now();
  while (goesOn()) {
    await sleep(random.integer(50, 400));
    const act = random.weighted<string>(weights) as Act;
    const isYoung = performance.now() - begunAt < parts.lifeMs;
    if (act === 'fault') await breakConnections(parts);
    else if (act === 'pause') await pause(parts);
    else if (act === 'shut') await resetNewConnections(parts);
    else if (act === 'session proxy') await insertSessionProxy(parts);
    else if (!isYoung) {
      if (act === 'crash at KILL') await crashAt(KILL, parts);
      else if (act === 'crash at list') await crashAt(LIST, parts);
      else await restart(act, parts);
      begunAt = performance.now();
    }
  }
  node.proxy.heal({ flush: true });
}

/** Kills the service every 8 to 20 s and starts it again, until `goesOn` returns false. */
export async function runServiceNemesis(
  service: Service,
  random: Random,
  goesOn: () => boolean,
): Promise<void> {
  for (;;) {
    const wakesAt = performance.now() + random.integer(8_000, 20_000);
    while (goesOn() && performance.now() < wakesAt) await sleep(50);
    if (!goesOn()) return;
    await service.kill();
    await service.launch();
  }
}

async function breakConnections(parts: NemesisParts): Promise<void> {
  const { node, history, random } = parts;
  const fault = randomFault(random);
  const on = random.pick(DIRECTIONS) ?? 'to server';
  const faulty = random.pick(DIRECTIONS) ?? on;
  const isAtText = random.chance(0.75);
  let connections = random.integer(1, 6);
  let place: string;
  const before = node.proxy.struck;
  if (isAtText) {
    const text = random.chance(0.7) ? KILL : LIST;
    // Only some connections carry a KILL, so the fault is set on more of them.
    connections = text === KILL ? random.integer(5, 40) : random.integer(1, 6);
    const when = random.chance(0.5) ? 'before' : 'after';
    node.proxy.injectAt('to server', text, fault, { when, connections, faulty });
    place = `${when} ${text}`;
  } else {
    const afterBytes = random.integer(0, random.chance(0.5) ? 400 : 8_000);
    node.proxy.inject(on, fault, { afterBytes, connections, faulty });
    place = `after ${afterBytes} bytes ${on}`;
  }
  const kind = fault.kind === 'delay' ? `delay of ${fault.ms} ms` : fault.kind;
  history.on(node.kind, {
    what: 'fault',
    kind: fault.kind,
    fault: `${kind} ${faulty}, ${place}, on ${connections} connections`,
  });
  // The service keeps its connections. A cut makes it open new ones, which the fault hits; else the fault hits the open ones now.
  if (random.chance(0.7)) node.proxy.strike(on, { kind: 'cut' });
  else node.proxy.strike(faulty, fault);
  await sleep(random.integer(100, 1_000));
  heal(parts, before);
}

function heal({ node, history }: NemesisParts, struckBefore: number): void {
  const struck = node.proxy.struck - struckBefore;
  node.proxy.heal({ flush: true });
  history.on(node.kind, { what: 'faults are healed', struck });
}

function randomFault(random: Random): Fault {
  const kind = random.weighted({ cut: 3, reset: 3, delay: 2, 'black hole': 3 });
  return kind === 'delay' ? { kind, ms: random.integer(20, 400) } : { kind };
}

async function resetNewConnections(parts: NemesisParts): Promise<void> {
  const { node, history, random } = parts;
  const before = node.proxy.struck;
  node.proxy.inject('to client', { kind: 'reset' });
  history.on(node.kind, { what: 'fault', kind: 'reset', fault: 'reset of every new connection' });
  node.proxy.strike('to client', { kind: 'cut' });
  await sleep(random.integer(200, 1_000));
  heal(parts, before);
}

async function insertSessionProxy(parts: NemesisParts): Promise<void> {
  const { node, history, random } = parts;
  const before = node.proxy.struck;
  const fault = 'a proxy with session ids of its own';
  history.on(node.kind, { what: 'fault', kind: 'session proxy', fault });
  node.useSessionProxy(true);
  await sleep(random.integer(200, 1_000));
  node.useSessionProxy(false);
  heal(parts, before);
}

async function pause({ node, random }: NemesisParts): Promise<void> {
  node.pause();
  await sleep(random.integer(50, 1_500));
  node.resume();
}

async function restart(how: 'crash' | 'shutdown', { node, scenery }: NemesisParts): Promise<void> {
  // The observer records the threads of this incarnation before its end.
  await scenery.observer.look();
  await node.restart(how);
}

async function crashAt(text: string, parts: NemesisParts): Promise<void> {
  const { node, scenery, history, random } = parts;
  await scenery.observer.look();
  const before = node.proxy.struck;
  // A delayed list arrives after the death of its server. A KILL without an answer has an unknown outcome.
  const ms = random.integer(250, 380);
  const isHeld = text === KILL && random.chance(0.5);
  const fault: Fault = isHeld ? { kind: 'black hole' } : { kind: 'delay', ms };
  const first: Fault = text === LIST ? { kind: 'delay', ms: GATHER_MS } : fault;
  node.proxy.injectAt('to server', text, first, { when: 'after', faulty: 'to client' });
  node.proxy.strike('to client', { kind: 'cut' });
  const cut = node.proxy.struck;
  const description = `${fault.kind} to client, after ${text}, then a crash`;
  history.on(node.kind, { what: 'fault', kind: fault.kind, fault: description });
  // These sessions have low ids, which the next incarnation uses first.
  scenery.population.release(10);
  const end = performance.now() + STANDSTILL_MS;
  while (node.proxy.struck === cut && performance.now() < end) await sleep(1);
  if (text === LIST) {
    await sleep(GATHER_MS / 2);
    node.proxy.strike('to client', fault);
    await sleep(GATHER_MS / 2);
  }
  // Several requests then wait at the service, sent well before the next incarnation begins.
  await sleep(random.integer(80, 180));
  // A delay for the service lets the clients connect first: they get the ids of the dead sessions.
  node.proxy.heal();
  node.proxy.inject('to server', { kind: 'delay', ms: random.integer(30, 100) });
  await node.restart('crash');
  await sleep(random.integer(100, 500));
  heal(parts, before);
}
