import { beforeEach, expect, it } from '@jest/globals';
import type { AnswerStore, Reservation } from '../../src/domain/answer-store.ts';

const MINUTE_MS = 60_000;

/** What the suite needs of a store. */
export interface Stage {
  readonly store: AnswerStore;
  /** Makes what is under the key so much older. */
  readonly age: (key: string, milliseconds: number) => Promise<void>;
}

/** A reservation of a key that no other test uses. */
export function reservationOf(given: Partial<Reservation> = {}): Reservation {
  return {
    key: `key ${crypto.randomUUID()}`,
    fingerprint: 'of the request',
    owner: 'operator',
    limitMs: 30_000,
    ...given,
  };
}

/** Two reservations that want the same. */
export function twoOfOneKey(): [Reservation, Reservation] {
  const reservation = reservationOf();
  return [reservation, { ...reservation }];
}

/** What every implementation of AnswerStore does. Call it inside `describe`. */
export function answerStoreContract(stage: () => Stage): void {
  it('reserves a key once, and tells the next one what is there', async () => {
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

  it('gives a key that many want at once to one of them', async () => {
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
  ])('remembers an answer as it was given (%#)', async (answer) => {
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

  it('takes any text for a key and a fingerprint', async () => {
    const { store } = stage();
    for (const key of ['', '密钥\n\u0000', 'k'.repeat(10_000)]) {
      const reservation = reservationOf({ key: `${key} ${crypto.randomUUID()}`, fingerprint: key });
      expect(await store.reserve(reservation)).toBeUndefined();
      expect(await store.reserve(reservation)).toMatchObject({ fingerprint: key });
      await store.complete(reservation, key);
      expect(await store.read(reservation.key)).toMatchObject({ answer: key });
    }
  });

  it('keeps apart what is under different keys', async () => {
    const { store } = stage();
    const [one, other] = [reservationOf(), reservationOf()];
    await store.reserve(one);
    expect(await store.reserve(other)).toBeUndefined();
    await store.complete(one, 'one');
    expect(await store.read(other.key)).toMatchObject({ answer: undefined });
    await store.release(other);
    expect(await store.read(one.key)).toMatchObject({ answer: 'one' });
  });

  it('frees a key that is released, but forgets no answer', async () => {
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

  it('touches nothing for one who came second', async () => {
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

  it('touches nothing for one whose reservation was forgotten, when another has made one since', async () => {
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

  it('puts no answer where nothing is reserved', async () => {
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

  it('tells the age of a reservation, with an answer or without', async () => {
    const { store, age } = stage();
    const reservation = reservationOf();
    await store.reserve(reservation);
    await age(reservation.key, 10 * MINUTE_MS);
    expectMinutes((await store.read(reservation.key))?.ageMs, 10);
    await store.complete(reservation, 'killed');
    expectMinutes((await store.read(reservation.key))?.ageMs, 10);
    expectMinutes((await store.reserve(reservation))?.ageMs, 10);
  });

  it('forgets after 30 minutes from the reservation, whenever the answer came', async () => {
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

/** The bound that an owner has in a store that is to keep `ownerBoundContract`, in bytes. */
export const BOUND = 10_000;

/** How every implementation of AnswerStore bounds what it has of an owner. Call it inside `describe`, with a store whose bound is `BOUND`. */
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

  it('refuses an owner who has too much, and nobody else', async () => {
    await remember(greedy, 'x'.repeat(8500));
    await expect(reserve(greedy)).resolves.toBeUndefined();
    await expect(reserve(greedy)).rejects.toMatchObject(TOO_MANY);
    await expect(reserve(crypto.randomUUID())).resolves.toBeUndefined();
  });

  it('reserves nothing when it refuses', async () => {
    const { store } = stage();
    await remember(greedy, 'x'.repeat(BOUND));
    const reservation = reservationOf({ owner: greedy });
    await expect(store.reserve(reservation)).rejects.toMatchObject(TOO_MANY);
    expect(await store.read(reservation.key)).toBeUndefined();
    await store.complete(reservation, 'killed');
    expect(await store.read(reservation.key)).toBeUndefined();
  });

  it('still tells an owner who has too much what is there', async () => {
    const reservation = await remember(greedy, 'x'.repeat(BOUND));
    await expect(reserve(greedy)).rejects.toMatchObject(TOO_MANY);
    expect(await stage().store.reserve(reservation)).toMatchObject({ answer: 'x'.repeat(BOUND) });
  });

  it('counts the bytes of an answer, not its characters, and those of keys', async () => {
    await remember(greedy, '误'.repeat(3200));
    await expect(reserve(greedy)).rejects.toMatchObject(TOO_MANY);
    const long = reservationOf({ owner: crypto.randomUUID(), key: 'k'.repeat(BOUND) });
    await expect(stage().store.reserve(long)).rejects.toMatchObject(TOO_MANY);
  });

  it('counts reservations that have no answer yet, and many at once', async () => {
    const made = await Promise.allSettled(Array.from({ length: 50 }, () => reserve(greedy)));
    const refused = made.filter(({ status }) => status === 'rejected');
    expect(made.length - refused.length).toBeGreaterThan(10);
    expect(made.length - refused.length).toBeLessThan(20);
    for (const { reason } of refused as PromiseRejectedResult[]) {
      expect(reason).toMatchObject(TOO_MANY);
    }
  });

  it('takes the answer of what was reserved, however long', async () => {
    const { key } = await remember(greedy, 'x'.repeat(5 * BOUND));
    expect(await stage().store.read(key)).toMatchObject({ answer: 'x'.repeat(5 * BOUND) });
  });

  it('has room again when something is released, or forgotten without an answer or with one', async () => {
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

  it('counts what is there yet when something older is forgotten', async () => {
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
