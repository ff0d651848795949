import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { lockReport, rootCauseOf } from '../../src/domain/lock-report.ts';
import type { MetadataLock, RowWait } from '../../src/domain/locks.ts';
import { conflictsOf } from '../../src/domain/metadata-lock-modes.ts';
import { listOf, ownerOf, readingOf, rowWaits, transaction } from './lock-readings.ts';

const COUNT = 8;
const MODES = ['SHARED_READ', 'SHARED_WRITE', 'SHARED_UPGRADABLE', 'SHARED_NO_WRITE', 'EXCLUSIVE'];

const id = fc.integer({ min: 1, max: COUNT });
const owner = fc.oneof(
  { weight: 8, arbitrary: id.map(String) },
  fc.constantFrom('t1', 't2', 'p1', '?'),
);
const row = fc
  .tuple(id, fc.constantFrom('>', '~'), owner)
  .map(([waiter, sign, holder]) => rowWaits(`${waiter}${sign}${holder}`)[0] as RowWait);
const lock: fc.Arbitrary<MetadataLock> = fc.record({
  owner: owner.map(ownerOf),
  type: fc.constantFrom('TABLE', 'USER LEVEL LOCK'),
  db: fc.constant('shop'),
  name: fc.constantFrom('t', 'u'),
  mode: fc.constantFrom(...MODES),
  isGranted: fc.boolean(),
});
const open = fc.record({
  state: fc.constantFrom('RUNNING', 'LOCK WAIT', 'ROLLING BACK'),
  waitSeconds: fc.constantFrom(undefined, undefined, 3n),
  seconds: id.map(BigInt),
});
const shown = fc.record({
  state: fc.constantFrom('', '', '', 'Waiting for table metadata lock', 'Waiting for table flush'),
  time: id,
  isInternal: fc.integer({ max: 4, min: 0 }).map((number) => number === 0),
});

/** Readings and lists that may disagree: unlisted sessions, transactions without a session, locks without a holder. */
const torn = fc.record({
  rows: fc.array(row, { maxLength: 12 }),
  locks: fc.array(lock, { maxLength: 12 }),
  transactions: fc.array(fc.tuple(id, open), { maxLength: COUNT }),
  listed: fc.array(fc.tuple(id, shown), { maxLength: 2 * COUNT }),
});
type Torn = typeof torn extends fc.Arbitrary<infer T> ? T : never;

function partsOf({ rows, locks, transactions, listed }: Torn) {
  const reading = readingOf({
    rowWaits: rows,
    metadataLocks: locks,
    transactions: new Map(
      transactions.map(([number, changes]) => [BigInt(number), transaction(changes)]),
    ),
  });
  return [reading, listOf(new Map(listed))] as const;
}

const holds = (check: (parts: Torn) => void): void => {
  fc.assert(fc.property(torn, check), { numRuns: 2000 });
};

describe('a report from a torn reading', () => {
  it('has waits of listed user sessions only, and no session that waits for itself', () => {
    holds((parts) => {
      const [reading, list] = partsOf(parts);
      const { waits, blockers } = lockReport(reading, list);
      for (const wait of waits) {
        expect(list.get(wait.id)).toBeDefined();
        expect(wait.waitsFor).not.toBe(wait.id);
      }
      for (const { id: blocker, session, canBeKilled } of blockers) {
        if (blocker !== null) expect(session?.id ?? blocker).toBe(blocker);
        expect(canBeKilled).toBe(session !== undefined);
      }
    });
  });

  it('names each wait and each blocker once', () => {
    holds((parts) => {
      const { waits, blockers } = lockReport(...partsOf(parts));
      const keys = waits.map((wait) => `${wait.id} ${wait.kind} ${String(wait.waitsFor)}`);
      expect(new Set(keys).size).toBe(keys.length);
      const ids = blockers.flatMap(({ id: blocker }) => blocker ?? []);
      expect(new Set(ids).size).toBe(ids.length);
      for (const { waitsFor } of waits) {
        expect(blockers.map(({ id: blocker }) => blocker)).toContain(waitsFor);
      }
    });
  });

  it('has counts that match its waits', () => {
    holds((parts) => {
      const { waits, blockers } = lockReport(...partsOf(parts));
      const direct = (blocker: bigint | null) =>
        new Set(waits.filter(({ waitsFor }) => waitsFor === blocker).map((wait) => wait.id));
      for (const { id: blocker, directWaiters, waiters } of blockers) {
        expect(waiters).toBeGreaterThanOrEqual(Math.max(directWaiters, 1));
        if (blocker === null) continue;
        expect(directWaiters).toBe(direct(blocker).size);
        const all = direct(blocker);
        for (const waiter of all) for (const next of direct(waiter)) all.add(next);
        all.delete(blocker);
        // More sessions may wait behind an internal thread or a prepared transaction.
        expect(waiters).toBeGreaterThanOrEqual(all.size);
        if (blockers.every((other) => other.id !== null)) expect(waiters).toBe(all.size);
      }
    });
  });

  it('has roots that wait only for roots', () => {
    holds((parts) => {
      const { waits, blockers } = lockReport(...partsOf(parts));
      const roots = new Set(blockers.filter(({ isRoot }) => isRoot).map((blocker) => blocker.id));
      for (const wait of waits) {
        if (roots.has(wait.id)) expect(roots).toContain(wait.waitsFor);
      }
    });
  });

  it('does not depend on the order of the rows', () => {
    fc.assert(
      fc.property(torn, fc.infiniteStream(fc.nat()), (parts, random) => {
        const numbers = random[Symbol.iterator]();
        const shuffled = <T>(items: readonly T[]): T[] =>
          items
            .map((item) => [numbers.next().value ?? 0, item] as const)
            .sort(([one], [other]) => one - other)
            .map(([, item]) => item);
        const [reading, list] = partsOf(parts);
        const other = {
          ...reading,
          rowWaits: shuffled(reading.rowWaits),
          metadataLocks: shuffled(reading.metadataLocks),
        };
        expect(lockReport(other, list)).toEqual(lockReport(reading, list));
        for (const { id: waiter } of list.ascending) {
          const number = BigInt(waiter);
          expect(rootCauseOf(number, other, list)).toEqual(rootCauseOf(number, reading, list));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('gives each waiter a root that the report has', () => {
    holds((parts) => {
      const [reading, list] = partsOf(parts);
      const { waits, blockers } = lockReport(reading, list);
      for (const { id: waiter } of waits) {
        const found = rootCauseOf(waiter, reading, list);
        expect(found).toBeDefined();
        if (found?.root === undefined) continue;
        expect(blockers).toContainEqual(found.root);
        expect(found.root.isRoot).toBe(true);
      }
    });
  });
});

describe('the modes of metadata locks', () => {
  it('conflict both ways if both have the same kind', () => {
    const modes = [...MODES, 'SHARED', 'SHARED_READ_ONLY', 'SHARED_NO_READ_WRITE'];
    for (const one of modes) {
      for (const other of modes) {
        const conflict = conflictsOf(one).granted.includes(other);
        expect([one, other, conflictsOf(other).granted.includes(one)]).toEqual([
          one,
          other,
          conflict,
        ]);
      }
    }
  });

  it('never wait for a request that they would not wait for once it is granted', () => {
    for (const mode of [
      ...MODES,
      'INTENTION_EXCLUSIVE',
      'BACKUP_DML',
      'BACKUP_COMMIT',
      'BACKUP_DDL',
    ]) {
      const { granted, pending } = conflictsOf(mode);
      expect(granted).toEqual(expect.arrayContaining([...pending]));
    }
  });
});
