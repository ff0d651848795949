import { describe, expect, it } from '@jest/globals';
import type { Incarnation } from '../../src/domain/session.ts';
import { NodeIdentity, type Port } from '../../src/mysql/node-identity.ts';
import { fakeNode } from '../support/ids.ts';

const DAY_MS = 86_400_000;

/** The incarnation that a connection finds at `seenAt`. By its uptime, it began at `begunBy` at the latest. */
function run(changes: Partial<Incarnation> = {}): Incarnation {
  const startedAt = 1000;
  return { server: 'a:3306:1', startedAt, begunBy: -DAY_MS, seenAt: 10, run: 0, ...changes };
}

let lastId = 100n;

interface Changes {
  readonly ownId?: bigint;
  readonly greetingId?: bigint;
}

/** Accepts a connection with a higher session id than before, unless `ownId` is given. */
function accept(
  identity: NodeIdentity,
  incarnation: Incarnation,
  port: Port = 'main',
  { ownId = (lastId += 1n), greetingId = ownId }: Changes = {},
): Incarnation {
  const { server: address } = incarnation;
  const version = { version: 1011, productVersion: '10.11' };
  const found = { ownId, greetingId, flavour: 'mariadb', uuid: undefined, address } as const;
  return identity.accept({ ...found, ...version, incarnation }, port, fakeNode).incarnation;
}

describe('the start of an incarnation', () => {
  it('comes from its uptime if the node was not seen before', () => {
    expect(accept(new NodeIdentity(), run()).begunBy).toBe(-DAY_MS);
  });

  it('stays as the first connection finds it, even if the clock of the node is stepped', () => {
    const identity = new NodeIdentity();
    accept(identity, run({ begunBy: 0 }));
    expect(accept(identity, run({ begunBy: -DAY_MS, seenAt: 20 })).begunBy).toBe(0);
    expect(accept(identity, run({ begunBy: 15, seenAt: 600 })).begunBy).toBe(0);
  });

  it.each<[string, Partial<Incarnation>]>([
    ['differs from the earlier start', { startedAt: 2000 }],
    ['belongs to another server', { server: 'b:3306:1' }],
  ])(
    'is the time of its first connection if it %s, since the clock may step at boot',
    (_, change) => {
      const identity = new NodeIdentity();
      accept(identity, run());
      expect(accept(identity, run({ ...change, seenAt: 20 })).begunBy).toBe(20);
      expect(accept(identity, run({ ...change, seenAt: 30 })).begunBy).toBe(20);
    },
  );
});

describe('an incarnation', () => {
  const first = { seenAt: 10_000 };

  it.each<[string, Partial<Incarnation>, Changes]>([
    ['began before the last connection by its uptime', { begunBy: 9_000 }, {}],
    ['reports a start that differs by a second', { startedAt: 1001 }, {}],
  ])('is the same if it %s', (_, changes, ids) => {
    const identity = new NodeIdentity();
    const { run: number } = accept(identity, run(first));
    const later = run({ seenAt: 20_000, ...changes });
    expect(accept(identity, later, 'main', ids).run).toBe(number);
  });

  it.each<[string, Partial<Incarnation>, Changes]>([
    [
      'may have begun after the last connection: a server can start twice in a second',
      { begunBy: 10_001 },
      {},
    ],
    ['assigns no higher session id: its clock can stand still while it is off', {}, { ownId: 50n }],
    ['reports another start', { startedAt: 1002 }, {}],
  ])('is a new one, which begins when it is seen, if it %s', (_, changes, ids) => {
    const identity = new NodeIdentity();
    const { run: number } = accept(identity, run(first));
    const later = accept(identity, run({ seenAt: 20_000, ...changes }), 'main', ids);
    expect(later.run).not.toBe(number);
    expect(later.begunBy).toBe(20_000);
  });

  it('is still known after another server took its place', () => {
    const identity = new NodeIdentity();
    const { run: number } = accept(identity, run(first));
    accept(identity, run({ server: 'b:3306:1', seenAt: 20_000 }));
    expect(accept(identity, run({ seenAt: 30_000 })).run).toBe(number);
  });
});

describe('a proxy', () => {
  const refusal = { code: 'node_unavailable' };

  it('is refused even if the id of its greeting matches by chance', () => {
    const identity = new NodeIdentity();
    for (const greetingId of [28n, 29n, 30n, 31n, 32n, 31n, 31n]) {
      expect(() => accept(identity, run(), 'main', { ownId: 31n, greetingId })).toThrow(
        expect.objectContaining(refusal),
      );
    }
  });

  it('is forgotten after three consistent connections, and earlier connections stay unused', () => {
    const identity = new NodeIdentity();
    const kept = accept(identity, run());
    expect(() => accept(identity, run(), 'main', { greetingId: 1n })).toThrow();
    expect(identity.isCurrent(kept)).toBe(false);
    for (let connections = 0; connections < 2; connections += 1) {
      expect(() => accept(identity, run())).toThrow(expect.objectContaining(refusal));
    }
    expect(identity.isCurrent(accept(identity, run({ seenAt: 20 })))).toBe(true);
  });
});

describe('the spare port', () => {
  const refusal = { code: 'node_unavailable' };

  it('may reach the incarnation of the main port, or a later one', () => {
    const identity = new NodeIdentity();
    accept(identity, run());
    expect(accept(identity, run({ seenAt: 20 }), 'spare').begunBy).toBe(-DAY_MS);
    const later = run({ startedAt: 90_000, begunBy: 15, seenAt: 20 });
    expect(accept(identity, later, 'spare').begunBy).toBe(20);
  });

  it('must not reach a different incarnation with the same server name', () => {
    const identity = new NodeIdentity();
    accept(identity, run());
    const beside = run({ startedAt: 900, begunBy: -DAY_MS - 100_000, seenAt: 20 });
    expect(() => accept(identity, beside, 'spare')).toThrow(expect.objectContaining(refusal));
  });

  it('is refused until the main port is reached', () => {
    const identity = new NodeIdentity();
    expect(() => accept(identity, run(), 'spare')).toThrow(expect.objectContaining(refusal));
    expect(() => accept(identity, run(), 'spare')).toThrow(expect.objectContaining(refusal));
  });
});

describe('a connection', () => {
  it('is current until the main port reaches another server', () => {
    const identity = new NodeIdentity();
    const first = accept(identity, run());
    expect(identity.isCurrent(first)).toBe(true);
    accept(identity, run({ seenAt: 20 }));
    expect(identity.isCurrent(first)).toBe(true);
    accept(identity, run({ server: 'b:3306:1', seenAt: 30 }));
    expect(identity.isCurrent(first)).toBe(false);
  });

  it('stays current although an older connection is accepted late', () => {
    const identity = new NodeIdentity();
    const newer = accept(identity, run({ server: 'b:3306:1', seenAt: 30 }));
    accept(identity, run({ seenAt: 20 }));
    expect(identity.isCurrent(newer)).toBe(true);
  });
});
