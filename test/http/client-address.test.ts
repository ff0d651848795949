import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { clientAddress, ipAddress, networkOf } from '../../src/http/client-address.ts';

describe('an address', () => {
  it.each([
    ['203.0.113.8', '203.0.113.8'],
    [' 203.0.113.8 ', '203.0.113.8'],
    ['203.0.113.8:41234', '203.0.113.8'],
    ['::ffff:203.0.113.8', '203.0.113.8'],
    ['::FFFF:cb00:7108', '203.0.113.8'],
    ['0:0:0:0:0:ffff:203.0.113.8', '203.0.113.8'],
    ['[::ffff:203.0.113.8]:41234', '203.0.113.8'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:0DB8:0::0001', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25eth0]:443', 'fe80::1'],
  ])('has one spelling: %s', (text, address) => {
    expect(ipAddress(text)).toBe(address);
  });

  it.each([
    ...[
      '',
      'unknown',
      '_hidden',
      'example.com',
      '203.0.113',
      '203.0.113.08',
      '203.0.113.8:',
      '1:2',
    ],
    ...[
      '203.0.113.8:123456',
      '203.0.113.8:x',
      '[2001:db8::1',
      '2001:db8::1]:443',
      '[]:443',
      '[203.0.113.8',
    ],
    ...[
      '203.0.113.8 203.0.113.9',
      '203.0.113.8;',
      '"203.0.113.8"',
      '::ffff:203.0.113.8:41234',
      '%',
      '[%]:1',
    ],
  ])('cannot be read from %p', (text) => {
    expect(ipAddress(text)).toBeUndefined();
  });

  it('counts as its network, which is the /56 for IPv6', () => {
    const networks = ['203.0.113.8', '2001:db8::1', '2001:db8:0:ff::1', '2001:db8:0:100::1'];
    expect(networks.map(networkOf)).toEqual([
      '203.0.113.8',
      '2001:db8::/56',
      '2001:db8::/56',
      '2001:db8:0:100::/56',
    ]);
  });
});

describe('the address of a client', () => {
  const from = (forwarded: string | undefined, remoteAddress = '10.0.0.1'): IncomingMessage =>
    ({
      socket: { remoteAddress },
      headers: { 'x-forwarded-for': forwarded },
    }) as unknown as IncomingMessage;
  const hops = (count: number) => (_address: string, distance: number) => distance < count;
  const inside = (address: string): boolean => address.startsWith('10.');

  it.each([
    ['no proxy is trusted', hops(0), '198.51.100.1', '10.0.0.1'],
    ['there is no header', hops(1), undefined, '10.0.0.1'],
    ['one proxy is trusted', hops(1), '198.51.100.1, 203.0.113.7', '203.0.113.7'],
    ['two proxies are trusted', hops(2), '198.51.100.1, 203.0.113.7', '198.51.100.1'],
    [
      'more proxies are trusted than the header names',
      hops(9),
      '198.51.100.1,203.0.113.7',
      '198.51.100.1',
    ],
    [
      'proxies are trusted by address',
      inside,
      '198.51.100.1, 203.0.113.7, 10.0.0.2',
      '203.0.113.7',
    ],
    ['the header also has ports', inside, '203.0.113.7:443, 10.0.0.2:41234', '203.0.113.7'],
    ['a proxy has an IPv4-mapped address', inside, '203.0.113.7,::ffff:10.0.0.2', '203.0.113.7'],
    ['the last entry is not an address', hops(1), '198.51.100.1, unknown', '10.0.0.1'],
    ['the entry before a proxy is not an address', inside, 'made up, 10.0.0.2', '10.0.0.2'],
    ['an entry is empty', hops(1), '198.51.100.1,', '10.0.0.1'],
    ['the first entry is empty', hops(3), ',10.0.0.2', '10.0.0.2'],
  ])('is found if %s', (_when, trusts, forwarded, address) => {
    expect(clientAddress(from(forwarded), trusts)).toBe(address);
  });

  it('is searched for in at most 100 entries', () => {
    let asked = 0;
    const trusts = (): boolean => (asked += 1) > 0;
    expect(clientAddress(from('10.0.0.9,'.repeat(7000) + '10.0.0.2'), trusts)).toBe('10.0.0.9');
    expect(asked).toBe(101);
  });
});
