import { describe, expect, it } from '@jest/globals';
import type { Incarnation } from '../../src/domain/incarnation.ts';
import { NodeIdentity, type Port } from '../../src/mysql/node-identity.ts';
import { fakeNode } from '../support/ids.ts';

const DAY_MS = 86_400_000;

/** What a connection found at `seenAt`: a run that had begun by `begunBy`, as its uptime says. */
function run(changes: Partial<Incarnation> = {}): Incarnation {
  return { server: 'a:3306:1', startedAt: 1000, begunBy: -DAY_MS, seenAt: 10, ...changes };
}

function accept(identity: NodeIdentity, incarnation: Incarnation, port: Port = 'main') {
  const { server: address } = incarnation;
  const version = { version: 1011, productVersion: '10.11' };
  const found = { ownId: 1n, flavour: 'mariadb', uuid: undefined, address } as const;
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
    expect(accept(identity, run({ begunBy: 500, seenAt: 600 })).begunBy).toBe(0);
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
});
