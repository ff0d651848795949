import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

type Callback = Parameters<LookupFunction>[2];

/** Looks up names for connections. */
export const lookUpName = sharedLookup();

/**
 * Returns a function that looks up names for sockets, once for all callers that want the same name at the same time. While no name server
 * answers, each look-up occupies one of Node's few threads, also after its caller has left.
 */
export function sharedLookup(ask: LookupFunction = lookup): LookupFunction {
  const waiting = new Map<string, Callback[]>();
  return (name, options, callback) => {
    const key = JSON.stringify([name, options]);
    const others = waiting.get(key);
    if (others !== undefined) {
      others.push(callback);
      return;
    }
    const all = [callback];
    waiting.set(key, all);
    ask(name, options, (...answer) => {
      waiting.delete(key);
      for (const each of all) each(...answer);
    });
  };
}

/** Returns all addresses of a name; no address if the look-up fails. */
export type AddressesOf = (name: string) => Promise<readonly string[]>;

/**
 * Returns a function that looks up names one after the other, so that names without an answer occupy at most one of Node's few threads.
 * Callers share the look-up of a name until it begins.
 */
export function serialAddressLookup(lookUp: LookupFunction): AddressesOf {
  const waiting = new Map<string, Promise<readonly string[]>>();
  let last: Promise<unknown> = Promise.resolve();
  return (name) => {
    const next = waiting.get(name);
    if (next !== undefined) return next;
    const addresses = last.then(() => {
      waiting.delete(name);
      return addressesOf(name, lookUp);
    });
    waiting.set(name, addresses);
    last = addresses;
    return addresses;
  };
}

function addressesOf(name: string, lookUp: LookupFunction): Promise<readonly string[]> {
  return new Promise((resolve) => {
    lookUp(name, { all: true }, (_error, found) => {
      resolve(Array.isArray(found) ? found.map(({ address }) => address) : []);
    });
  });
}
