import { describe, expect, it } from '@jest/globals';
import { lockReport, MAX_WAITS, rootCauseOf } from '../../src/domain/lock-report.ts';
import type { LockReport } from '../../src/domain/lock-report.ts';
import type { LockReading } from '../../src/domain/locks.ts';
import { listOf, metadataLocks, readingOf, rowWaits, transaction } from './lock-readings.ts';
import type { Listed } from './lock-readings.ts';

const METADATA_WAIT = 'Waiting for table metadata lock';

type Parts = Partial<LockReading>;

function sessions(ids: readonly number[], changes: Record<number, Listed> = {}) {
  return listOf(new Map(ids.map((id) => [id, changes[id] ?? {}])));
}

/** Returns each blocker as `id waiters/direct`, roots with a star, and each wait as `waiter>blocker kind`. */
function briefly({ blockers, waits }: LockReport): { blockers: string; waits: string } {
  const shown = blockers.map(
    ({ id, isRoot, isPrepared, waiters, directWaiters }) =>
      `${isPrepared ? 'prepared' : String(id)}${isRoot ? '*' : ''} ${waiters}/${directWaiters}`,
  );
  const rows = waits.map(({ id, waitsFor, kind }) => `${id}>${String(waitsFor)} ${kind}`);
  return { blockers: shown.join(', '), waits: rows.join(', ') };
}

const ids = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const INTERNAL = { isInternal: true };

interface Case {
  readonly parts: Parts;
  readonly listed?: Record<number, Listed>;
  readonly blockers: string;
  readonly waits: string;
}

const CASES: Record<string, Case> = {
  'no session waits': { parts: {}, blockers: '', waits: '' },
  'a chain of three': {
    parts: { rowWaits: rowWaits('3>2 2>1') },
    blockers: '1* 2/1, 2 1/1',
    waits: '2>1 row, 3>2 row',
  },
  'a star whose waiters also wait for each other': {
    parts: { rowWaits: rowWaits('2>1 3>1 3~2 4>1 4~2 4~3') },
    blockers: '1* 3/3',
    waits: '2>1 row, 3>1 row, 4>1 row',
  },
  'a queue without a known holder': {
    parts: { rowWaits: rowWaits('3~2 4~2 4~3') },
    blockers: '2* 2/1, 3 1/1',
    waits: '3>2 row, 4>3 row',
  },
  'a lock that two transactions share': {
    parts: { rowWaits: rowWaits('3>1 3>2') },
    blockers: '1* 1/1, 2* 1/1',
    waits: '3>1 row, 3>2 row',
  },
  'a holder that waits itself': {
    parts: { rowWaits: rowWaits('3>1 3>2 2>1') },
    blockers: '1* 2/2, 2 1/1',
    waits: '2>1 row, 3>1 row, 3>2 row',
  },
  'an ALTER behind an idle transaction, with SELECTs behind it': {
    parts: {
      metadataLocks: metadataLocks(
        '1:SHARED_READ 2:SHARED_UPGRADABLE 2?EXCLUSIVE 3?SHARED_READ 4?SHARED_READ',
      ),
    },
    blockers: '1* 3/1, 2 2/2',
    waits: '2>1 metadata, 3>2 metadata, 4>2 metadata',
  },
  'two transactions before an ALTER': {
    parts: { metadataLocks: metadataLocks('1:SHARED_READ 2:SHARED_WRITE 3?EXCLUSIVE') },
    blockers: '1* 1/1, 2* 1/1',
    waits: '3>1 metadata, 3>2 metadata',
  },
  'two ALTERs, the later one nearest to a SELECT': {
    parts: {
      metadataLocks: metadataLocks('1:SHARED_READ 2?EXCLUSIVE 3?EXCLUSIVE 4?SHARED_READ'),
    },
    listed: {
      2: { state: METADATA_WAIT, time: 30 },
      3: { state: METADATA_WAIT, time: 20 },
      4: { state: METADATA_WAIT, time: 10 },
    },
    blockers: '1* 3/2, 3 1/1',
    waits: '2>1 metadata, 3>1 metadata, 4>3 metadata',
  },
  'LOCK TABLES': {
    parts: { metadataLocks: metadataLocks('1:SHARED_NO_READ_WRITE 2?SHARED_READ 3?SHARED_WRITE') },
    blockers: '1* 2/2',
    waits: '2>1 metadata, 3>1 metadata',
  },
  'a mode that was raised after the node showed it': {
    parts: { metadataLocks: metadataLocks('1:SHARED_UPGRADABLE 2?SHARED_WRITE') },
    blockers: '1* 1/1',
    waits: '2>1 metadata',
  },
  'FLUSH TABLES WITH READ LOCK that holds the global lock and waits for a SELECT': {
    parts: {
      metadataLocks: metadataLocks('2:SHARED 3?INTENTION_EXCLUSIVE', 'GLOBAL', ''),
    },
    listed: { 2: { state: 'Waiting for table flush' } },
    blockers: '2 1/1',
    waits: '3>2 metadata',
  },
  'FLUSH TABLES WITH READ LOCK of MariaDB': {
    parts: { metadataLocks: metadataLocks('1:BACKUP_FTWRL1 2?BACKUP_TRANS_DML', 'BACKUP', '') },
    blockers: '1* 1/1',
    waits: '2>1 metadata',
  },
  'a lock of GET_LOCK': {
    parts: { metadataLocks: metadataLocks('1:EXCLUSIVE 2?EXCLUSIVE', 'USER LEVEL LOCK', 'job') },
    blockers: '1* 1/1',
    waits: '2>1 user',
  },
  'a cycle of a row lock with GET_LOCK': {
    parts: {
      rowWaits: rowWaits('2>1'),
      metadataLocks: metadataLocks('2:EXCLUSIVE 1?EXCLUSIVE', 'USER LEVEL LOCK', 'job'),
    },
    listed: { 1: { state: 'User lock' } },
    blockers: '1* 1/1, 2* 1/1',
    waits: '1>2 user, 2>1 row',
  },
  'a cycle that waits for a session outside it': {
    parts: { rowWaits: rowWaits('2>1 1>2 2>3') },
    blockers: '3* 2/1, 1 1/1, 2 1/1',
    waits: '1>2 row, 2>1 row, 2>3 row',
  },
  'a session behind a cycle': {
    parts: { rowWaits: rowWaits('2>1 1>2 3>2') },
    blockers: '1* 2/1, 2* 2/2',
    waits: '1>2 row, 2>1 row, 3>2 row',
  },
  'an internal thread that blocks': {
    parts: { metadataLocks: metadataLocks('t9:EXCLUSIVE 2?SHARED_READ') },
    blockers: 'null* 1/1',
    waits: '2>null metadata',
  },
  'an internal session that waits between two user sessions': {
    parts: { rowWaits: rowWaits('3>2 2>1') },
    listed: { 2: INTERNAL },
    blockers: '1* 1/0, null 1/1',
    waits: '3>null row',
  },
  'an internal waiter alone': {
    parts: {
      rowWaits: rowWaits('2>1'),
      metadataLocks: metadataLocks('1:EXCLUSIVE t8?SHARED'),
    },
    listed: { 2: INTERNAL },
    blockers: '',
    waits: '',
  },
  'a prepared transaction': {
    parts: { rowWaits: rowWaits('2>p77'), prepared: new Map([['77', transaction()]]) },
    blockers: 'prepared* 1/1',
    waits: '2>null row',
  },
  'a pending lock without a listed holder': {
    parts: { metadataLocks: metadataLocks('2?EXCLUSIVE 3?SHARED_READ') },
    listed: { 2: { state: METADATA_WAIT } },
    blockers: '2 1/1',
    waits: '3>2 metadata',
  },
  'a holder that has left': {
    parts: { rowWaits: rowWaits('2>9 3>2') },
    blockers: '2 1/1',
    waits: '3>2 row',
  },
  'a holder that is rolled back after it left the list': {
    parts: {
      rowWaits: rowWaits('2>9 3>2'),
      transactions: new Map([[9n, transaction({ state: 'ROLLING BACK' })]]),
    },
    blockers: '9* 2/1, 2 1/1',
    waits: '2>9 row, 3>2 row',
  },
  'a waiter that has left': {
    parts: { rowWaits: rowWaits('9>1 2>9') },
    blockers: '',
    waits: '',
  },
  'a holder that waits for an unreadable row lock': {
    parts: {
      metadataLocks: metadataLocks('1:EXCLUSIVE 2?SHARED_READ'),
      transactions: new Map([[1n, transaction({ state: 'LOCK WAIT', waitSeconds: 4n })]]),
    },
    blockers: '1 1/1',
    waits: '2>1 metadata',
  },
  'a holder that waits for an unreadable metadata lock': {
    parts: { rowWaits: rowWaits('2>1') },
    listed: { 1: { state: METADATA_WAIT } },
    blockers: '1 1/1',
    waits: '2>1 row',
  },
  'an owner that waits for itself': {
    parts: {
      rowWaits: rowWaits('1>1'),
      metadataLocks: metadataLocks('1:SHARED_READ 1?EXCLUSIVE'),
    },
    blockers: '',
    waits: '',
  },
  'an unknown mode': {
    parts: { metadataLocks: metadataLocks('1:NEW_MODE 2?OTHER_MODE') },
    blockers: '',
    waits: '',
  },
};

describe('a lock report', () => {
  it.each(Object.entries(CASES))(
    'has the right blockers and waits for: %s',
    (_name, { parts, listed = {}, blockers, waits }) => {
      const report = lockReport(readingOf(parts), sessions(ids(5), listed));
      expect(briefly(report)).toEqual({ blockers, waits });
    },
  );

  it('shows a blocker with its session, its transaction and its thread', () => {
    const reading = readingOf({
      rowWaits: rowWaits('2>1'),
      transactions: new Map([[1n, transaction()]]),
      threadIds: new Map([[1n, 53n]]),
    });
    expect(lockReport(reading, sessions([1, 2])).blockers).toEqual([
      {
        id: 1n,
        session: expect.objectContaining({ id: 1n, user: 'app' }) as unknown,
        transaction: transaction(),
        isPrepared: false,
        isRoot: true,
        waiters: 1,
        directWaiters: 1,
        canBeKilled: true,
        threadId: 53n,
      },
    ]);
  });

  it('shows no id, session or transaction of an internal thread', () => {
    const reading = readingOf({
      rowWaits: rowWaits('2>1'),
      transactions: new Map([[1n, transaction()]]),
      threadIds: new Map([[1n, 53n]]),
    });
    expect(lockReport(reading, sessions([1, 2], { 1: INTERNAL })).blockers).toEqual([
      {
        id: null,
        isPrepared: false,
        isRoot: true,
        waiters: 1,
        directWaiters: 1,
        canBeKilled: false,
      },
    ]);
  });

  it('shows the kind, the object and the mode of each lock', () => {
    const reading = readingOf({
      rowWaits: rowWaits('2>1'),
      metadataLocks: [
        ...metadataLocks('1:EXCLUSIVE 3?SHARED_READ'),
        ...metadataLocks('1:EXCLUSIVE 4?EXCLUSIVE', 'USER LEVEL LOCK', 'job'),
      ],
    });
    const listed = { 3: { state: METADATA_WAIT, time: 29 }, 4: { state: 'User lock', time: 7 } };
    expect(lockReport(reading, sessions(ids(4), listed)).waits).toEqual([
      {
        ...{ id: 2n, waitsFor: 1n, kind: 'row', seconds: 3n, db: 'shop', table: 't' },
        ...{ index: 'PRIMARY', mode: 'X', data: '1' },
      },
      {
        ...{ id: 3n, waitsFor: 1n, kind: 'metadata', seconds: 29n, db: 'shop', table: 't' },
        mode: 'SHARED_READ',
      },
      { id: 4n, waitsFor: 1n, kind: 'user', seconds: 7n, mode: 'EXCLUSIVE', name: 'job' },
    ]);
  });

  it('has separate ids that are equal as a double', () => {
    const [high, next] = [9_007_199_254_740_993n, 9_007_199_254_740_992n];
    const reading = readingOf({ rowWaits: rowWaits(`${high}>${next}`) });
    const row = (id: bigint) => ({ ...sessions([1]).ascending[0], id: id.toString() });
    const found = new Map([next, high].map((id) => [id, { ...sessions([1]).get(1n), id }]));
    const listed = { get: (id: bigint) => found.get(id) as never, others: [row(5n) as never] };
    expect(briefly(lockReport(reading, listed))).toEqual({
      blockers: `${next}* 1/1`,
      waits: `${high}>${next} row`,
    });
  });

  it('reports incomplete metadata locks if a lock has no listed holder', () => {
    const pending = readingOf({ metadataLocks: metadataLocks('2?EXCLUSIVE') });
    expect(lockReport(pending, sessions([2])).sources).toMatchObject({
      row: 'available',
      metadata: { 'en-us': expect.stringMatching(/^Incomplete: .*XA RECOVER/) as unknown },
    });
    const held = readingOf({ metadataLocks: metadataLocks('1:EXCLUSIVE 2?EXCLUSIVE') });
    expect(lockReport(held, sessions([1, 2])).sources.metadata).toBe('available');
  });

  it('has a limited number of waits, and counts all waiters', () => {
    const count = MAX_WAITS + 2;
    const waits = ids(count)
      .slice(1)
      .map((id) => `${id}>1`);
    const report = lockReport(
      readingOf({ rowWaits: rowWaits(waits.join(' ')) }),
      sessions(ids(count)),
    );
    expect(report).toMatchObject({ isTruncated: true, blockers: [{ waiters: count - 1 }] });
    expect(report.waits.map(({ id }) => Number(id))).toEqual(ids(count).slice(1, -1));
    const whole = readingOf({ rowWaits: rowWaits(waits.slice(1).join(' ')) });
    expect(lockReport(whole, sessions(ids(count)))).toMatchObject({ isTruncated: false });
  });

  it.each<[string, (index: number) => string]>([
    ['a star', () => '1'],
    ['a chain', (index) => String(index)],
    ['a tree', (index) => String(Math.ceil(index / 2))],
  ])('counts the waiters of %s of 10,000', (_name, holderOf) => {
    const all = ids(10_000);
    const text = all.slice(1).map((id, index) => `${id}>${holderOf(index + 1)}`);
    const { blockers } = lockReport(
      readingOf({ rowWaits: rowWaits(text.join(' ')) }),
      sessions(all),
    );
    expect(blockers[0]).toMatchObject({ id: 1n, isRoot: true, waiters: 9_999 });
  });

  it('counts the waiters of many holders of one lock', () => {
    const [holders, waiters] = [ids(2000), ids(4000).slice(2000)];
    const locks = metadataLocks(
      [...holders.map((id) => `${id}:SHARED_READ`), ...waiters.map((id) => `${id}?EXCLUSIVE`)].join(
        ' ',
      ),
    );
    const report = lockReport(readingOf({ metadataLocks: locks }), sessions(ids(4000)));
    expect(report.blockers).toHaveLength(2000);
    expect(report.blockers.at(-1)).toMatchObject({ id: 2000n, waiters: 2000, directWaiters: 2000 });
    expect(report).toMatchObject({ isTruncated: true });
  });
});

describe('the root of one wait', () => {
  const root = (id: number, parts: Parts, listed: Record<number, Listed> = {}) =>
    rootCauseOf(BigInt(id), readingOf(parts), sessions(ids(6), listed));

  it('is none for a session that waits for nobody', () => {
    expect(root(1, { rowWaits: rowWaits('2>1') })).toBeUndefined();
    expect(root(9, { rowWaits: rowWaits('2>1') })).toBeUndefined();
  });

  it('is the end of the chain', () => {
    expect(root(3, { rowWaits: rowWaits('3>2 2>1') })).toMatchObject({
      lock: { kind: 'row', table: 't', data: '1' },
      root: { id: 1n, waiters: 2, directWaiters: 1 },
    });
  });

  it('is the blocker with the oldest transaction if there are several', () => {
    const transactions = new Map([
      [1n, transaction({ seconds: 5n })],
      [2n, transaction({ seconds: 50n })],
    ]);
    const found = root(4, { rowWaits: rowWaits('4>1 4>2 4>3'), transactions });
    expect(found).toMatchObject({ root: { id: 2n } });
  });

  it('is the next one in a cycle', () => {
    const rows = rowWaits('2>1 1>3 3>2');
    expect(root(1, { rowWaits: rows })).toMatchObject({ root: { id: 3n } });
    expect(root(2, { rowWaits: rows })).toMatchObject({ root: { id: 1n } });
  });

  it('is undefined if the node does not show it', () => {
    const parts = { metadataLocks: metadataLocks('2?EXCLUSIVE 3?SHARED_READ') };
    const listed = { 2: { state: METADATA_WAIT } };
    expect(root(3, parts, listed)).toMatchObject({ lock: { kind: 'metadata' } });
    expect(root(3, parts, listed)?.root).toBeUndefined();
  });
});
