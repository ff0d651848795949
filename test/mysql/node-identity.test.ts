import { describe, expect, it } from '@jest/globals';
import type { Incarnation } from '../../src/domain/session.ts';
import { NodeIdentity, type Port } from '../../src/mysql/node-identity.ts';
import { fakeNode } from '../support/ids.ts';

const DAY_MS = 86_400_000;

/** What a connection found at `seenAt`: a run that had begun by `begunBy`, as its uptime says. */
function run(changes: Partial<Incarnation> = {}): Incarnation {
  const startedAt = 1000;
  return { server: 'a:3306:1', startedAt, begunBy: -DAY_MS, seenAt: 10, run: 0, ...changes };
}

let lastId = 100n;

interface Changes {
  readonly ownId?: bigint;
  readonly greetingId?: bigint;
}

/** Has a connection accepted whose session id is higher than those before, unless it is given. */
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

describe('the start of a run', () => {
  it('is what its uptime says, as long as nothing was seen of the node before', () => {
    expect(accept(new NodeIdentity(), run()).begunBy).toBe(-DAY_MS);
  });

  it('stays what the first connection found, whatever the clock of the node does later', () => {
    const identity = new NodeIdentity();
    accept(identity, run({ begunBy: 0 }));
    expect(accept(identity, run({ begunBy: -DAY_MS, seenAt: 20 })).begunBy).toBe(0);
    expect(accept(identity, run({ begunBy: 15, seenAt: 600 })).begunBy).toBe(0);
  });

  it.each<[string, Partial<Incarnation>]>([
    ['is another one', { startedAt: 2000 }],
    ['is of another server', { server: 'b:3306:1' }],
  ])(
    'is when it was seen, if it %s than before: its clock may have stepped at boot',
    (_, change) => {
      const identity = new NodeIdentity();
      accept(identity, run());
      expect(accept(identity, run({ ...change, seenAt: 20 })).begunBy).toBe(20);
      expect(accept(identity, run({ ...change, seenAt: 30 })).begunBy).toBe(20);
    },
  );
});

describe('a run', () => {
  const first = { seenAt: 10_000 };

  it.each<[string, Partial<Incarnation>, Changes]>([
    ['had begun before the last look, as far as its uptime says', { begunBy: 9_000 }, {}],
    ['says a start that is a second off', { startedAt: 1001 }, {}],
  ])('is the same if it %s', (_, changes, ids) => {
    const identity = new NodeIdentity();
    const { run: number } = accept(identity, run(first));
    const later = run({ seenAt: 20_000, ...changes });
    expect(accept(identity, later, 'main', ids).run).toBe(number);
  });

  it.each<[string, Partial<Incarnation>, Changes]>([
    [
      'may have begun after the last look: a server can start twice in a second',
      { begunBy: 10_001 },
      {},
    ],
    ['has given out no higher id: its clock can stand still while it is off', {}, { ownId: 50n }],
    ['says another start', { startedAt: 1002 }, {}],
  ])('is another one, begun when it is seen, if it %s', (_, changes, ids) => {
    const identity = new NodeIdentity();
    const { run: number } = accept(identity, run(first));
    const later = accept(identity, run({ seenAt: 20_000, ...changes }), 'main', ids);
    expect(later.run).not.toBe(number);
    expect(later.begunBy).toBe(20_000);
  });

  it('is still known after another server stood in for a while', () => {
    const identity = new NodeIdentity();
    const { run: number } = accept(identity, run(first));
    accept(identity, run({ server: 'b:3306:1', seenAt: 20_000 }));
    expect(accept(identity, run({ seenAt: 30_000 })).run).toBe(number);
  });
});

describe('a proxy', () => {
  const refusal = { code: 'node_unavailable' };

  it('that meets the id of its connection by chance is refused all the same', () => {
    const identity = new NodeIdentity();
    for (const greetingId of [28n, 29n, 30n, 31n, 32n, 31n, 31n]) {
      expect(() => accept(identity, run(), 'main', { ownId: 31n, greetingId })).toThrow(
        expect.objectContaining(refusal),
      );
    }
  });

  it('that was taken away is forgotten after three connections that agree, and nothing kept before is used', () => {
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

  it('may lead to the run that the main port reached, or to a later one', () => {
    const identity = new NodeIdentity();
    accept(identity, run());
    expect(accept(identity, run({ seenAt: 20 }), 'spare').begunBy).toBe(-DAY_MS);
    const later = run({ startedAt: 90_000, begunBy: 15, seenAt: 20 });
    expect(accept(identity, later, 'spare').begunBy).toBe(20);
  });

  it('must not lead to a run beside the one that the main port reached, whatever it is called', () => {
    const identity = new NodeIdentity();
    accept(identity, run());
    const beside = run({ startedAt: 900, begunBy: -DAY_MS - 100_000, seenAt: 20 });
    expect(() => accept(identity, beside, 'spare')).toThrow(expect.objectContaining(refusal));
  });

  it('proves nothing by itself', () => {
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

  it('stays current although an older look ends late', () => {
    const identity = new NodeIdentity();
    const newer = accept(identity, run({ server: 'b:3306:1', seenAt: 30 }));
    accept(identity, run({ seenAt: 20 }));
    expect(identity.isCurrent(newer)).toBe(true);
  });
});
