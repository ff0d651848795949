import { beforeEach, describe, expect, it } from '@jest/globals';
import { MemoryAnswers } from '../../src/store/memory-answers.ts';
import {
  answerStoreContract,
  BOUND,
  ownerBoundContract,
  reservationOf,
} from './answer-store-contract.ts';

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

describe('limited answers in memory', () => {
  let now = 0;
  let store: MemoryAnswers;
  beforeEach(() => {
    now = 0;
    store = new MemoryAnswers({ bytesPerOwner: BOUND, bytes: 25_000 }, () => now);
  });

  const remember = async (owner: string, answer: string): Promise<string> => {
    const reservation = reservationOf({ owner });
    await store.reserve(reservation);
    await store.complete(reservation, answer);
    return reservation.key;
  };

  ownerBoundContract(() => ({
    store,
    age: (_key, milliseconds) => {
      now += milliseconds;
      return Promise.resolve();
    },
  }));

  it('refuse every reservation beyond the limit of all owners, but are still returned', async () => {
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
});
