import { beforeEach, describe, expect, it } from '@jest/globals';
import { MemoryAnswers } from '../../src/store/memory-answers.ts';
import { answerStoreContract, reservationOf } from './answer-store-contract.ts';

describe('answers in memory', () => {
  let now = 0;
  let store: MemoryAnswers;
  beforeEach(() => {
    now = 0;
    store = new MemoryAnswers(undefined, () => now);
  });

  answerStoreContract(() => ({
    store,
    age: (_key, milliseconds) => {
      now += milliseconds;
      return Promise.resolve();
    },
  }));
});

describe('the bounds of answers in memory', () => {
  const limits = { bytesAnOwner: 10_000, bytes: 25_000 };
  let now = 0;
  let store: MemoryAnswers;
  beforeEach(() => {
    now = 0;
    store = new MemoryAnswers(limits, () => now);
  });

  const remember = async (owner: string, answer: string): Promise<string> => {
    const reservation = reservationOf({ owner });
    await store.reserve(reservation);
    await store.complete(reservation.key, answer);
    return reservation.key;
  };

  it('refuses an owner who has too much, and nobody else', async () => {
    await remember('greedy', 'x'.repeat(8500));
    await expect(store.reserve(reservationOf({ owner: 'greedy' }))).resolves.toBeUndefined();
    await expect(store.reserve(reservationOf({ owner: 'greedy' }))).rejects.toMatchObject({
      code: 'too_many_requests',
    });
    await expect(store.reserve(reservationOf({ owner: 'modest' }))).resolves.toBeUndefined();
  });

  it('counts the bytes of an answer, not its characters, and those of keys', async () => {
    await remember('greedy', '误'.repeat(3200));
    await expect(store.reserve(reservationOf({ owner: 'greedy' }))).rejects.toMatchObject({
      code: 'too_many_requests',
    });
    const long = reservationOf({ owner: 'another', key: 'k'.repeat(10_000) });
    await expect(store.reserve(long)).rejects.toMatchObject({ code: 'too_many_requests' });
  });

  it('counts reservations that have no answer yet', async () => {
    const reserveAll = async (): Promise<void> => {
      for (let count = 0; count < 20; count++) await store.reserve(reservationOf());
    };
    await expect(reserveAll()).rejects.toMatchObject({ code: 'too_many_requests' });
  });

  it('refuses everybody when all together have too much, but still tells what it knows', async () => {
    const key = await remember('one', 'x'.repeat(9000));
    await remember('two', 'x'.repeat(9000));
    await remember('three', 'x'.repeat(9000));
    await expect(store.reserve(reservationOf({ owner: 'four' }))).rejects.toMatchObject({
      code: 'overloaded',
    });
    expect(await store.reserve(reservationOf({ key, owner: 'one' }))).toMatchObject({
      answer: 'x'.repeat(9000),
    });
  });

  it('takes the answer of what was reserved, however long', async () => {
    const key = await remember('greedy', 'x'.repeat(50_000));
    expect(await store.read(key)).toMatchObject({ answer: 'x'.repeat(50_000) });
  });

  it.each([
    ['is forgotten', (): unknown => (now += 30 * 60_000)],
    ['is released', (key: string): unknown => store.release(key)],
  ])('has room again when something %s', async (_what, free) => {
    const { key } = reservationOf();
    const big = reservationOf({ owner: 'greedy', key: key + 'k'.repeat(9000) });
    for (let round = 0; round < 5; round++) {
      await expect(store.reserve(big)).resolves.toBeUndefined();
      await expect(store.reserve(reservationOf({ owner: 'greedy' }))).rejects.toMatchObject({
        code: 'too_many_requests',
      });
      await free(big.key);
    }
  });
});
