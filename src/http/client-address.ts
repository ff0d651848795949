import type { IncomingMessage } from 'node:http';
import { isIP, SocketAddress } from 'node:net';
import { ipKeyGenerator } from 'express-rate-limit';

/** Each step costs time, and a client can write thousands of addresses into `X-Forwarded-For`. */
const MAX_PROXIES = 100;

/** True if the proxy with this address is believed; `distance` counts the proxies between it and the service. */
export type TrustsProxy = (address: string, distance: number) => boolean;

/** Returns the address of the client: the first one that no believed proxy has, or the last one before text that is no address. */
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

/** Returns the address of the other side of a connection; an empty text if the connection is closed already. */
export function peerAddress({
  remoteAddress,
}: {
  readonly remoteAddress?: string | undefined;
}): string {
  return ipAddress(remoteAddress ?? '') ?? '';
}

/**
 * Returns the network that counts as one client for limits and lock-outs: the address itself, or the /56 of an IPv6 address, which one client
 * can have to itself.
 */
export function networkOf(address: string): string {
  return ipKeyGenerator(address);
}

/** Returns the IP address in this text in its one spelling, without port and zone, IPv4-mapped IPv6 as IPv4; undefined if there is none. */
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
