import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type LookupFunction } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { sharedLookup } from '../../src/mysql/driver/name-lookup.ts';

describe('a shared lookup', () => {
  it('resolves a name once for concurrent callers, and again after that', () => {
    const asked: [string, Parameters<LookupFunction>[2]][] = [];
    const lookup = sharedLookup((name, _options, told) => asked.push([name, told]));
    const told: unknown[] = [];
    const want = (name: string, who: string): void => {
      lookup(name, { all: true }, (error, address) => told.push([who, error, address]));
    };
    want('hangs', 'first');
    want('hangs', 'second');
    want('answers', 'third');
    expect(asked.map(([name]) => name)).toEqual(['hangs', 'answers']);

    const found = [{ address: '10.0.0.1', family: 4 }];
    asked[1]?.[1](null, found);
    expect(told).toEqual([['third', null, found]]);
    const error = new Error('no such name');
    asked[0]?.[1](error, []);
    expect(told.slice(1)).toEqual([
      ['first', error, []],
      ['second', error, []],
    ]);

    want('hangs', 'first again');
    expect(asked).toHaveLength(3);
  });

  it('resolves the names that the system knows', async () => {
    const server = createServer((socket) => socket.end('here'));
    await once(server.listen(0, 'localhost'), 'listening');
    const { port } = server.address() as AddressInfo;
    const lookup = sharedLookup();
    const sockets = [1, 2].map(() => connect({ host: 'localhost', port, lookup }));
    const [said] = await Promise.all(sockets.map((socket) => once(socket, 'data')));
    expect(String(said)).toBe('here');
    for (const socket of sockets) socket.destroy();
    server.close();
  });
});
