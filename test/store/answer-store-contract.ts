import { expect, it } from '@jest/globals';
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
    await store.complete(reservation.key, answer);
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
      await store.complete(reservation.key, key);
      expect(await store.read(reservation.key)).toMatchObject({ answer: key });
    }
  });

  it('keeps apart what is under different keys', async () => {
    const { store } = stage();
    const [one, other] = [reservationOf(), reservationOf()];
    await store.reserve(one);
    expect(await store.reserve(other)).toBeUndefined();
    await store.complete(one.key, 'one');
    expect(await store.read(other.key)).toMatchObject({ answer: undefined });
    await store.release(other.key);
    expect(await store.read(one.key)).toMatchObject({ answer: 'one' });
  });

  it('frees a key that is released, but forgets no answer', async () => {
    const { store } = stage();
    const reservation = reservationOf();
    await store.release(reservation.key);
    await store.reserve(reservation);
    await store.release(reservation.key);
    expect(await store.read(reservation.key)).toBeUndefined();
    expect(await store.reserve(reservation)).toBeUndefined();
    await store.complete(reservation.key, 'killed');
    await store.release(reservation.key);
    expect(await store.read(reservation.key)).toMatchObject({ answer: 'killed' });
  });

  it('puts no answer where nothing is reserved', async () => {
    const { store } = stage();
    const reservation = reservationOf();
    await store.complete(reservation.key, 'late');
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
    await store.complete(reservation.key, 'killed');
    expectMinutes((await store.read(reservation.key))?.ageMs, 10);
    expectMinutes((await store.reserve(reservation))?.ageMs, 10);
  });

  it('forgets after 30 minutes from the reservation, whenever the answer came', async () => {
    const { store, age } = stage();
    const answered = reservationOf();
    await store.reserve(answered);
    await age(answered.key, 20 * MINUTE_MS);
    await store.complete(answered.key, 'killed');
    await age(answered.key, 9.5 * MINUTE_MS);
    expect(await store.read(answered.key)).toMatchObject({ answer: 'killed' });
    await age(answered.key, MINUTE_MS);
    expect(await store.read(answered.key)).toBeUndefined();
    expect(await store.reserve(answered)).toBeUndefined();
    expect(await store.read(answered.key)).toMatchObject({ answer: undefined });
  });
}

function expectMinutes(milliseconds: number | undefined, minutes: number): void {
  expect(milliseconds).toBeGreaterThanOrEqual(minutes * MINUTE_MS);
  expect(milliseconds).toBeLessThan(minutes * MINUTE_MS + 20_000);
}
