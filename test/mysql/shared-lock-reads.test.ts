import { describe, expect, it } from '@jest/globals';
import type { Incarnation } from '../../src/domain/session.ts';
import { isSlowVersion } from '../../src/mysql/mysql-row-locks.ts';
import { SharedLockReads } from '../../src/mysql/shared-lock-reads.ts';

const run = (number: number): Incarnation => ({
  server: 'a',
  startedAt: 0,
  run: number,
  begunBy: 0,
  seenAt: 0,
});
const NOW = run(1);

/** A read that returns consecutive numbers, and fails while `fails` is true. */
function counter() {
  const state = { count: 0, fails: false };
  const read = (): Promise<number> => {
    state.count += 1;
    return state.fails ? Promise.reject(new Error('lost')) : Promise.resolve(state.count);
  };
  return { state, read };
}

describe('reads of the transactions', () => {
  it('are shared by callers that arrive before they are sent', async () => {
    const { read } = counter();
    const reads = new SharedLockReads<number, number>();
    const first = reads.transactions(NOW, read);
    expect(await first).toBe(1);
    const next = Array.from({ length: 20 }, () => reads.transactions(NOW, read));
    expect(new Set(await Promise.all(next))).toEqual(new Set([2]));
    expect(await reads.transactions(NOW, read)).toBe(3);
  });

  it('are not shared between incarnations of a server', async () => {
    const { read } = counter();
    const reads = new SharedLockReads<number, number>();
    const both = [reads.transactions(NOW, read), reads.transactions(run(2), read)];
    expect(new Set(await Promise.all(both)).size).toBe(2);
  });
});

describe('reads of the locks', () => {
  it('are shared by concurrent callers, and by a caller shortly after', async () => {
    const { read } = counter();
    const reads = new SharedLockReads<number, number>();
    const all = Array.from({ length: 20 }, () => reads.locks(NOW, read));
    expect(new Set(await Promise.all(all))).toEqual(new Set([1]));
    expect(await reads.locks(NOW, read)).toBe(1);
    expect(await reads.locks(run(2), read)).toBe(2);
  });

  it('are repeated after a failed read', async () => {
    const { read, state } = counter();
    const reads = new SharedLockReads<number, number>();
    state.fails = true;
    await expect(reads.locks(NOW, read)).rejects.toThrow('lost');
    state.fails = false;
    expect(await reads.locks(NOW, read)).toBe(2);
  });
});

it.each([
  ['8.0.39', true],
  ['8.0.40-azure', false],
  ['8.3.0', true],
  ['8.4.2', true],
  ['8.4.3', false],
  ['9.0.1', true],
  ['9.1.0', false],
  ['9.7.4-2', false],
  ['10.0.0', false],
])('MySQL %s stalls other sessions while it shows its locks: %s', (version, isSlow) => {
  expect(isSlowVersion(version)).toBe(isSlow);
});
