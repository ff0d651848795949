import type { IncomingMessage } from 'node:http';
import { isIP, SocketAddress } from 'node:net';
import { ipKeyGenerator } from 'express-rate-limit';

/** The most proxies that are followed. A client can write thousands of addresses into `X-Forwarded-For`, and each takes time. */
const MAX_PROXIES = 100;

/** Returns true if the proxy with this address is trusted. `distance` is the number of proxies between that proxy and the service. */
export type TrustsProxy = (address: string, distance: number) => boolean;

/**
 * Returns the address of the client: the nearest address that belongs to no trusted proxy. Reads `X-Forwarded-For` from its end, and stops
 * at a text that is not an address.
 */
export function clientAddress(req: IncomingMessage, trusts: TrustsProxy): string {
  let address = peerAddress(req.socket);
  const forwarded = String(req.headers['x-forwarded-for'] ?? '');
  let end = forwarded.length;
  for (let distance = 0; distance <= MAX_PROXIES && trusts(address, distance); distance += 1) {
    const start = end < 0 ? -1 : forwarded.lastIndexOf(',', end - 1);
    const next = ipAddress(forwarded.slice(start + 1, Math.max(0, end)));
    if (next === undefined) break;
    address = next;
    end = start;
  }
  return address;
}

/** Returns the address of the other side of a connection, or an empty text if the connection is already closed. */
export function peerAddress({
  remoteAddress,
}: {
  readonly remoteAddress?: string | undefined;
}): string {
  return ipAddress(remoteAddress ?? '') ?? '';
}

/**
 * Returns the network that counts as one client for limits and lock-outs: the IPv4 address itself, or the /56 of an IPv6 address. One client
 * can own a whole /56.
 */
export function networkOf(address: string): string {
  return ipKeyGenerator(address);
}

/**
 * Returns the IP address in this text, or undefined if there is none. The result has its canonical form, without port and zone. An IPv4-mapped
 * IPv6 address becomes an IPv4 address.
 */
export function ipAddress(text: string): string | undefined {
  const [, bracketed, withPort] =
    /^\[([^\]]*)\](?::\d{1,5})?$|^([\d.]+):\d{1,5}$/.exec(text.trim()) ?? [];
  const [address = ''] = (bracketed ?? withPort ?? text.trim()).split('%', 1);
  switch (isIP(address)) {
    case 4:
      return address;
    case 6: {
      const { address: spelled } = new SocketAddress({ address, family: 'ipv6' });
      return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(spelled)?.[1] ?? spelled;
    }
    default:
      return undefined;
  }
}
