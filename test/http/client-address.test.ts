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
  ])('is not in this text: %p', (text) => {
    expect(ipAddress(text)).toBeUndefined();
  });

  it('counts with its network: the /56 of IPv6', () => {
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
    ['nobody is believed', hops(0), '198.51.100.1', '10.0.0.1'],
    ['there is no header', hops(1), undefined, '10.0.0.1'],
    ['one proxy is believed', hops(1), '198.51.100.1, 203.0.113.7', '203.0.113.7'],
    ['two proxies are believed', hops(2), '198.51.100.1, 203.0.113.7', '198.51.100.1'],
    [
      'more proxies than there are are believed',
      hops(9),
      '198.51.100.1,203.0.113.7',
      '198.51.100.1',
    ],
    ['proxies are known by address', inside, '198.51.100.1, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
    ['their ports are written, too', inside, '203.0.113.7:443, 10.0.0.2:41234', '203.0.113.7'],
    ['they are mapped', inside, '203.0.113.7,::ffff:10.0.0.2', '203.0.113.7'],
    ['a text is no address', hops(1), '198.51.100.1, unknown', '10.0.0.1'],
    ['a text behind a proxy is no address', inside, 'made up, 10.0.0.2', '10.0.0.2'],
    ['an entry is empty', hops(1), '198.51.100.1,', '10.0.0.1'],
    ['the first entry is empty', hops(3), ',10.0.0.2', '10.0.0.2'],
  ])('is found if %s', (_when, trusts, forwarded, address) => {
    expect(clientAddress(from(forwarded), trusts)).toBe(address);
  });

  it('is looked for in a hundred entries at most', () => {
    let asked = 0;
    const trusts = (): boolean => (asked += 1) > 0;
    expect(clientAddress(from('10.0.0.9,'.repeat(7000) + '10.0.0.2'), trusts)).toBe('10.0.0.9');
    expect(asked).toBe(101);
  });
});
