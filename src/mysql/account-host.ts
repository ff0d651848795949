import { isIP, isIPv4 } from 'node:net';

/**
 * How the host of an account fits a client. `exact`: it is the host that the node shows. `maybe exact`: it is an address, and the node shows
 * a name. `pattern`: it is a wildcard or a network that may hold the client.
 */
export type HostFit = 'exact' | 'maybe exact' | 'pattern';

/** Returns how an account's host fits a client's host without its port, or undefined if the account cannot be the client's. */
export function hostFit(accountHost: string, clientHost: string): HostFit | undefined {
  const isName = isIP(clientHost) === 0;
  if (accountHost.includes('/')) {
    return isName || isInNetwork(clientHost, accountHost) ? 'pattern' : undefined;
  }
  if (accountHost === '' || /[%_]/.test(accountHost)) {
    // The node resolved the name from an address that it does not show, and the pattern may match that address.
    const mayBeAddress = isName && /^[\d.:a-f%_]*$/i.test(accountHost);
    return mayBeAddress || matchesWildcards(accountHost, clientHost) ? 'pattern' : undefined;
  }
  if (isName && isIP(accountHost) !== 0) return 'maybe exact';
  const isSame = isName
    ? accountHost.toLowerCase() === clientHost.toLowerCase()
    : accountHost === clientHost;
  return isSame ? 'exact' : undefined;
}

/** Matches as LIKE does, in at most pattern times host steps. */
function matchesWildcards(pattern: string, host: string): boolean {
  const parts = (pattern === '' ? '%' : pattern.toLowerCase()).match(/\\[^]|[^]/g) ?? [];
  const text = host.toLowerCase();
  // The lengths of the prefixes of the host that the parts up to here match.
  let lengths = new Set([0]);
  for (const part of parts) {
    const next = new Set<number>();
    for (const length of lengths) {
      if (part === '%') for (let to = length; to <= text.length; to += 1) next.add(to);
      else if (length < text.length && (part === '_' || part.at(-1) === text[length])) {
        next.add(length + 1);
      }
    }
    lengths = next;
  }
  return lengths.has(text.length);
}

/** Returns true for an IPv4 address in `10.0.0.0/255.0.0.0` or `10.0.0.0/8`: MySQL knows no other networks. */
function isInNetwork(address: string, network: string): boolean {
  const [base = '', mask = ''] = network.split('/');
  const isMask = isIPv4(mask);
  if (!isIPv4(address) || !isIPv4(base) || !(isMask || /^([12]?\d|3[0-2])$/.test(mask)))
    return false;
  const bits = isMask ? numberOf(mask) : 2 ** 32 - 2 ** (32 - Number(mask));
  return (numberOf(address) & bits) >>> 0 === numberOf(base);
}

function numberOf(address: string): number {
  return address.split('.').reduce((number, part) => number * 256 + Number(part), 0);
}
