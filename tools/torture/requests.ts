import type { Expected, IdKind, KillRequest, PageRequest } from './history.ts';
import type { TortureNode } from './node.ts';
import type { Population } from './population.ts';
import type { Random } from './random.ts';
import { isControl, isInternal, type Observer } from './observer.ts';

/** The sources of ids for requests: the clients of a node, and its process list. */
export interface Scenery {
  readonly node: Pick<TortureNode, 'isUp'>;
  readonly population: Population;
  readonly observer: Observer;
}

interface Wanted {
  readonly id: bigint;
  readonly kind: IdKind;
  /** The host of the session, if the caller has seen it. */
  readonly host?: string;
  readonly user?: string;
}

const KINDS: Readonly<Record<IdKind, number>> = {
  live: 40,
  'just dead': 15,
  'never existed': 15,
  internal: 8,
  'control connection': 5,
  'live + 2^32': 6,
  'beyond 2^53': 6,
  'earlier incarnation': 5,
};

const MAX_INT64 = 2n ** 63n - 1n;

/** Returns a random request: mostly a DELETE, sometimes a GET. It never has the id of a bystander. */
export function randomRequest(random: Random, scenery: Scenery): KillRequest | PageRequest {
  if (random.chance(0.05)) return { method: 'GET', offset: random.integer(0, 60) };
  const count = random.chance(0.02)
    ? random.integer(100, 400)
    : random.chance(0.15)
      ? random.integer(5, 50)
      : random.integer(1, 4);
  const wanted = Array.from({ length: count }, () => randomId(random, scenery)).flat();
  if (random.chance(0.1)) wanted.push(...wanted.slice(0, 1));
  const isAllowed = ({ id }: Wanted): boolean =>
    id <= MAX_INT64 && !scenery.population.isBystander(id) && !scenery.observer.isOwn(id);
  const allowed = wanted.filter(isAllowed);
  if (allowed.length === 0) return { method: 'GET', offset: 0 };
  return {
    method: 'DELETE',
    ids: allowed.map(({ id }) => id),
    kinds: allowed.map(({ kind }) => kind),
    expected: random.chance(0.25) ? expectations(random, allowed) : [],
    isDryRun: random.chance(0.1),
    ...(random.chance(0.08) && { waitSeconds: 1 }),
    isRepresentationWanted: random.chance(0.1),
    ...(random.chance(0.1) && { key: random.next().toString(36).slice(2) }),
  };
}

function randomId(random: Random, { population, observer }: Scenery): Wanted[] {
  const { dead, earlier } = population;
  const kind = random.weighted(KINDS);
  const far = BigInt(random.integer(1, 2 ** 30));
  const one = (id: bigint | undefined, seen: Partial<Wanted> = {}): Wanted[] =>
    id === undefined ? [] : [{ ...seen, id, kind }];
  switch (kind) {
    case 'live': {
      const live = population.pickVictim(random);
      return one(live?.id, live && { host: live.host, user: live.user });
    }
    case 'just dead':
      return one(random.pick(dead));
    case 'never existed':
      return one(2_000_000_000n + far);
    case 'internal':
      return one(random.pick(observer.threads.filter(isInternal))?.id);
    case 'control connection':
      return one(random.pick(observer.threads.filter(isControl))?.id);
    case 'live + 2^32': {
      const live = population.pickVictim(random);
      return one(live && live.id + 2n ** 32n * BigInt(random.integer(1, 3)));
    }
    case 'beyond 2^53':
      // A double cannot hold the odd id of a pair, and rounds the last one to more than the largest int64.
      return random.chance(0.8)
        ? [...one(2n ** 53n + 2n * far), ...one(2n ** 53n + 2n * far + 1n)]
        : one(MAX_INT64 - far);
    case 'earlier incarnation': {
      const before = random.pick(earlier);
      return one(before?.id, before && { host: before.host, user: 'app' });
    }
  }
}

/** Returns entries of `expected`: correct ones for some ids, wrong ones for others. */
function expectations(random: Random, wanted: readonly Wanted[]): Expected[] {
  const distinct = new Map(wanted.map((one) => [one.id, one]));
  return [...distinct.values()].flatMap(({ id, host, user }): Expected[] => {
    if (host === undefined || user === undefined || random.chance(0.4)) return [];
    const address = host.slice(0, host.lastIndexOf(':'));
    const shape = random.weighted({
      host: 5,
      address: 1,
      user: 2,
      both: 2,
      'other host': 2,
      'other user': 1,
    });
    switch (shape) {
      case 'host':
        return [{ id, host }];
      case 'address':
        return [{ id, host: address }];
      case 'user':
        return [{ id, user }];
      case 'both':
        return [{ id, host, user }];
      case 'other host':
        return [{ id, host: `${address}:${random.integer(1, 1000)}` }];
      case 'other user':
        return [{ id, host: address, user: 'somebody_else' }];
    }
  });
}
