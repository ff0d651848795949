import type { LookupFunction } from 'node:net';

/** Returns all addresses of a name; none if the look-up fails. */
export type AddressesOf = (name: string) => Promise<readonly string[]>;

/**
 * Returns a function that looks names up one after the other: names without an answer take at most one of Node's few threads. Callers that
 * want a name whose look-up has not begun share that look-up.
 */
export function addressesInTurn(lookUp: LookupFunction): AddressesOf {
  const waiting = new Map<string, Promise<readonly string[]>>();
  let last: Promise<unknown> = Promise.resolve();
  return (name) => {
    const there = waiting.get(name);
    if (there !== undefined) return there;
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
