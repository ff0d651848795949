import { setTimeout as sleep } from 'node:timers/promises';
import { isNativeError } from 'node:util/types';
import type { ServerKind } from '../server-binaries.ts';
import type { History, KillRequest, PageRequest } from './history.ts';
import type { Random } from './random.ts';
import { randomRequest, type Scenery } from './requests.ts';
import type { Service } from './service.ts';
import { send } from './wire.ts';

/** The dependencies of a caller. */
export interface CallerParts {
  readonly service: Service;
  readonly history: History;
  readonly nodes: ReadonlyMap<ServerKind, Scenery>;
  readonly random: Random;
  /** Returns true if another operation is due. */
  readonly goesOn: () => boolean;
}

const REPEATABLE_KEPT = 20;

/** Sends random operations to random nodes, one after the other, until `goesOn` returns false. */
export async function call(parts: CallerParts): Promise<void> {
  const { service, history, nodes, random, goesOn } = parts;
  const names = [...nodes.keys()];
  let repeatable: { readonly node: ServerKind; readonly request: KillRequest }[] = [];
  while (goesOn()) {
    if (!service.isUp) {
      await sleep(20);
      continue;
    }
    const node = random.pick(names);
    const scenery = node && nodes.get(node);
    if (node === undefined || scenery === undefined) return;
    // A node that is down answers fast: without a limit, most operations would go there.
    if (!scenery.node.isUp && !random.chance(0.05)) {
      await sleep(20);
      continue;
    }
    const again = random.chance(0.03) ? random.pick(repeatable) : undefined;
    const operation = again ?? { node, request: randomRequest(random, scenery) };
    const { request } = operation;
    if (again === undefined && request.method === 'DELETE' && request.key !== undefined) {
      repeatable = [...repeatable, { node, request }].slice(-REPEATABLE_KEPT);
    }
    // Two concurrent requests with one key: the service must hold the second until the first is answered.
    const isTwice = request.method === 'DELETE' && request.key !== undefined && random.chance(0.2);
    const copies = Array.from({ length: isTwice ? 2 : 1 }, () =>
      operate(operation, service, history),
    );
    await Promise.all(copies);
    await sleep(random.integer(0, 20));
  }
}

async function operate(
  { node, request }: { readonly node: ServerKind; readonly request: KillRequest | PageRequest },
  service: Service,
  history: History,
): Promise<void> {
  const operation = history.nextOperation();
  history.on(node, { what: 'request', operation, request });
  try {
    const answer = await send(service.origin, node, request);
    history.on(node, { what: 'answer', operation, answer });
  } catch (error) {
    const reason = isNativeError(error) ? error.message : String(error);
    history.on(node, { what: 'no answer', operation, reason });
  }
}
