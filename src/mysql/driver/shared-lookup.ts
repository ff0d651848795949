import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

type Told = Parameters<LookupFunction>[2];

/**
 * Looks names up for sockets, once for all who want the same one at the same time: as long as no name server answers, each look-up takes one
 * of Node's few threads, also when nobody waits for it any more.
 */
export function sharedLookup(ask: LookupFunction = lookup): LookupFunction {
  const waiting = new Map<string, Told[]>();
  return (name, options, told) => {
    const key = JSON.stringify([name, options]);
    const others = waiting.get(key);
    if (others !== undefined) {
      others.push(told);
      return;
    }
    const all = [told];
    waiting.set(key, all);
    ask(name, options, (...answer) => {
      waiting.delete(key);
      for (const each of all) each(...answer);
    });
  };
}
