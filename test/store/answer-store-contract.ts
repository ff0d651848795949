import { beforeEach, expect, it } from '@jest/globals';
import type { AnswerStore, Reservation } from '../../src/domain/answer-store.ts';

const MINUTE_MS = 60_000;

/** A store under test, with a way to age its entries. */
export interface Stage {
  readonly store: AnswerStore;
  /** Makes the entry of the key older, in milliseconds. */
  readonly age: (key: string, milliseconds: number) => Promise<void>;
}

/** Returns a reservation of a key that no other test uses. */
export function reservationOf(given: Partial<Reservation> = {}): Reservation {
  return {
    key: `key ${crypto.randomUUID()}`,
    fingerprint: 'of the request',
    owner: 'operator',
    limitMs: 30_000,
    ...given,
  };
}

/** Returns two reservations of the same key. */
export function twoOfOneKey(): [Reservation, Reservation] {
  const reservation = reservationOf();
  return [reservation, { ...reservation }];
}

/** Tests that every implementation of AnswerStore passes. Call the function inside `describe`. */
export function answerStoreContract(stage: () => Stage): void {
  it('can reserve a key once, and a second reservation returns the first one', async () => {
    const { store } = stage();
    const reservation = reservationOf({ fingerprint: 'first', limitMs: 12_345 });
    expect(await store.read(reservation.key)).toBeUndefined();
    expect(await store.reserve(reservation)).toBeUndefined();
    const there = await store.reserve({ ...reservation, fingerprint: 'second', limitMs: 1 });
    expect(there).toEqual({
      fingerprint: 'first',
      answer: undefined,
      ageMs: expect.any(Number) as unknown,
      limitMs: 12_345,
    });
    expect(await store.read(reservation.key)).toMatchObject({ fingerprint: 'first' });
  });

  it('give a key to exactly one of 50 concurrent reservations', async () => {
    const { store } = stage();
    const reservation = reservationOf();
    const there = await Promise.all(Array.from({ length: 50 }, () => store.reserve(reservation)));
    expect(there.filter((remembered) => remembered === undefined)).toHaveLength(1);
  });

  it.each([
    ['', 'nothing'],
    ['{"processes_killed":[9223372036854775807]}', 'JSON'],
    ['服务器错误。\u0000\r\n', 'any text'],
    ['1'.repeat(30_000), 'a long text'],
  ])('are returned unchanged (%#)', async (answer) => {
    const { store } = stage();
    const reservation = reservationOf();
    await store.reserve(reservation);
    await store.complete(reservation, answer);
    expect(await store.read(reservation.key)).toMatchObject({ answer });
    expect(await store.reserve(reservation)).toMatchObject({
      answer,
      fingerprint: 'of the request',
    });
  });

  it('accept any text as a key and as a fingerprint', async () => {
    const { store } = stage();
    for (const key of ['', '密钥\n\u0000', 'k'.repeat(10_000)]) {
      const reservation = reservationOf({ key: `${key} ${crypto.randomUUID()}`, fingerprint: key });
      expect(await store.reserve(reservation)).toBeUndefined();
      expect(await store.reserve(reservation)).toMatchObject({ fingerprint: key });
      await store.complete(reservation, key);
      expect(await store.read(reservation.key)).toMatchObject({ answer: key });
    }
  });

  it('are separate for different keys', async () => {
    const { store } = stage();
    const [one, other] = [reservationOf(), reservationOf()];
    await store.reserve(one);
    expect(await store.reserve(other)).toBeUndefined();
    await store.complete(one, 'one');
    expect(await store.read(other.key)).toMatchObject({ answer: undefined });
    await store.release(other);
    expect(await store.read(one.key)).toMatchObject({ answer: 'one' });
  });

  it('are not forgotten by a release, which frees a key without an answer', async () => {
    const { store } = stage();
    const reservation = reservationOf();
    await store.release(reservation);
    await store.reserve(reservation);
    await store.release(reservation);
    expect(await store.read(reservation.key)).toBeUndefined();
    expect(await store.reserve(reservation)).toBeUndefined();
    await store.complete(reservation, 'killed');
    await store.release(reservation);
    expect(await store.read(reservation.key)).toMatchObject({ answer: 'killed' });
  });

  it('ignore a completion or release by a request whose reservation failed', async () => {
    const { store } = stage();
    const [first, second] = twoOfOneKey();
    await store.reserve(first);
    expect(await store.reserve(second)).toBeDefined();
    await store.complete(second, 'second');
    await store.release(second);
    expect(await store.read(first.key)).toMatchObject({ answer: undefined });
    await store.complete(first, 'first');
    expect(await store.read(first.key)).toMatchObject({ answer: 'first' });
  });

  it('ignore a completion or release by an expired reservation once the key is reserved again', async () => {
    const { store, age } = stage();
    const [old, recent] = twoOfOneKey();
    await store.reserve(old);
    await age(old.key, 31 * MINUTE_MS);
    expect(await store.reserve(recent)).toBeUndefined();
    await store.complete(old, 'old');
    await store.release(old);
    expect(await store.read(recent.key)).toMatchObject({ answer: undefined });
    await store.release(recent);
    expect(await store.read(recent.key)).toBeUndefined();
  });

  it('are dropped if their key is not reserved', async () => {
    const { store } = stage();
    const reservation = reservationOf();
    await store.complete(reservation, 'late');
    expect(await store.read(reservation.key)).toBeUndefined();
    expect(await store.reserve(reservation)).toBeUndefined();
    expect(await store.read(reservation.key)).toMatchObject({
      fingerprint: reservation.fingerprint,
      answer: undefined,
    });
  });

  it('have the age of their reservation, completed or not', async () => {
    const { store, age } = stage();
    const reservation = reservationOf();
    await store.reserve(reservation);
    await age(reservation.key, 10 * MINUTE_MS);
    expectMinutes((await store.read(reservation.key))?.ageMs, 10);
    await store.complete(reservation, 'killed');
    expectMinutes((await store.read(reservation.key))?.ageMs, 10);
    expectMinutes((await store.reserve(reservation))?.ageMs, 10);
  });

  it('expire 30 minutes after the reservation, whenever they were completed', async () => {
    const { store, age } = stage();
    const answered = reservationOf();
    await store.reserve(answered);
    await age(answered.key, 20 * MINUTE_MS);
    await store.complete(answered, 'killed');
    await age(answered.key, 9.5 * MINUTE_MS);
    expect(await store.read(answered.key)).toMatchObject({ answer: 'killed' });
    await age(answered.key, MINUTE_MS);
    expect(await store.read(answered.key)).toBeUndefined();
    expect(await store.reserve(answered)).toBeUndefined();
    expect(await store.read(answered.key)).toMatchObject({ answer: undefined });
  });
}

/** The limit of an owner in a store under `ownerBoundContract`, in bytes. */
export const BOUND = 10_000;

/** Tests of the limit of an owner that every AnswerStore passes. Call the function inside `describe` with a limit of `BOUND`. */
export function ownerBoundContract(stage: () => Stage): void {
  const TOO_MANY = { code: 'too_many_requests' };
  let greedy: string;
  beforeEach(() => {
    greedy = crypto.randomUUID();
  });

  const remember = async (owner: string, answer: string): Promise<Reservation> => {
    const { store } = stage();
    const reservation = reservationOf({ owner });
    await store.reserve(reservation);
    await store.complete(reservation, answer);
    return reservation;
  };
  const reserve = (owner: string): Promise<unknown> =>
    stage().store.reserve(reservationOf({ owner }));

  it('refuse a reservation by an owner beyond the limit, and by no other owner', async () => {
    await remember(greedy, 'x'.repeat(8500));
    await expect(reserve(greedy)).resolves.toBeUndefined();
    await expect(reserve(greedy)).rejects.toMatchObject(TOO_MANY);
    await expect(reserve(crypto.randomUUID())).resolves.toBeUndefined();
  });

  it('reserve no key in a refused reservation', async () => {
    const { store } = stage();
    await remember(greedy, 'x'.repeat(BOUND));
    const reservation = reservationOf({ owner: greedy });
    await expect(store.reserve(reservation)).rejects.toMatchObject(TOO_MANY);
    expect(await store.read(reservation.key)).toBeUndefined();
    await store.complete(reservation, 'killed');
    expect(await store.read(reservation.key)).toBeUndefined();
  });

  it('are still returned to an owner beyond the limit', async () => {
    const reservation = await remember(greedy, 'x'.repeat(BOUND));
    await expect(reserve(greedy)).rejects.toMatchObject(TOO_MANY);
    expect(await stage().store.reserve(reservation)).toMatchObject({ answer: 'x'.repeat(BOUND) });
  });

  it('count with the bytes of their text and of their keys', async () => {
    await remember(greedy, '误'.repeat(3200));
    await expect(reserve(greedy)).rejects.toMatchObject(TOO_MANY);
    const long = reservationOf({ owner: crypto.randomUUID(), key: 'k'.repeat(BOUND) });
    await expect(stage().store.reserve(long)).rejects.toMatchObject(TOO_MANY);
  });

  it('count from their reservation on, also if 50 reservations run concurrently', async () => {
    const made = await Promise.allSettled(Array.from({ length: 50 }, () => reserve(greedy)));
    const refused = made.filter(({ status }) => status === 'rejected');
    expect(made.length - refused.length).toBeGreaterThan(10);
    expect(made.length - refused.length).toBeLessThan(20);
    for (const { reason } of refused as PromiseRejectedResult[]) {
      expect(reason).toMatchObject(TOO_MANY);
    }
  });

  it('are accepted for a reserved key, however long they are', async () => {
    const { key } = await remember(greedy, 'x'.repeat(5 * BOUND));
    expect(await stage().store.read(key)).toMatchObject({ answer: 'x'.repeat(5 * BOUND) });
  });

  it('count no longer after a release or an expiry, completed or not', async () => {
    const { store, age } = stage();
    const big = reservationOf({ owner: greedy, key: crypto.randomUUID() + 'k'.repeat(9000) });
    const ageEnough = (): Promise<void> => age(big.key, 31 * MINUTE_MS);
    const completeAndAge = async (): Promise<void> => {
      await store.complete(big, 'x'.repeat(BOUND));
      await ageEnough();
    };
    const release = (): Promise<void> => store.release(big);
    for (const free of [release, ageEnough, release, completeAndAge, ageEnough]) {
      await expect(store.reserve(big)).resolves.toBeUndefined();
      await expect(reserve(greedy)).rejects.toMatchObject(TOO_MANY);
      await free();
    }
  });

  it('count until their own expiry, also after an older one expires', async () => {
    const { age } = stage();
    const { key } = await remember(greedy, 'x'.repeat(4000));
    await age(key, 20 * MINUTE_MS);
    await remember(greedy, 'x'.repeat(4000));
    await expect(reserve(greedy)).resolves.toBeUndefined();
    await age(key, 11 * MINUTE_MS);
    await remember(greedy, 'x'.repeat(4500));
    await expect(reserve(greedy)).rejects.toMatchObject(TOO_MANY);
    await age(key, 20 * MINUTE_MS);
    await expect(reserve(greedy)).resolves.toBeUndefined();
  });
}

function expectMinutes(milliseconds: number | undefined, minutes: number): void {
  expect(milliseconds).toBeGreaterThanOrEqual(minutes * MINUTE_MS);
  expect(milliseconds).toBeLessThan(minutes * MINUTE_MS + 20_000);
}
