import { beforeEach, describe, expect, it } from '@jest/globals';
import type { AnswerStore, Reservation } from '../../src/domain/answer-store.ts';
import { IdempotentResponses } from '../../src/domain/idempotent-responses.ts';
import { ServiceError } from '../../src/errors.ts';
import { MemoryAnswers } from '../../src/store/memory-answers.ts';

const LIMIT_MS = 10_000;
const KEY = reservation('key');
const SIGNATURE = reservation('signature');

function reservation(key: string, fingerprint = 'request'): Reservation {
  return { key, fingerprint, owner: 'operator', limitMs: LIMIT_MS };
}

describe('idempotent responses', () => {
  let now = 0;
  let troubles: unknown[];
  let pauses: number[];
  /** Runs in each pause of a waiting request. */
  let meanwhile: () => unknown;
  let memory: MemoryAnswers;
  let done: string[];

  const answersIn = (store: AnswerStore): IdempotentResponses =>
    new IdempotentResponses(
      store,
      (error) => troubles.push(error),
      async (milliseconds) => {
        pauses.push(milliseconds);
        now += milliseconds;
        await meanwhile();
      },
      () => now,
    );
  const work = (answer: string) => (): Promise<string> => {
    done.push(answer);
    return Promise.resolve(answer);
  };
  const once = (
    reservations: readonly Reservation[],
    answer: string,
  ): Promise<string | undefined> => answersIn(memory).once(reservations, work(answer));
  const fails = (): Promise<string> => Promise.reject(new ServiceError('node_unavailable'));
  /** Returns the store in memory with the given methods replaced. */
  const storeWith = (given: Partial<AnswerStore>): AnswerStore => ({
    reserve: (wanted) => memory.reserve(wanted),
    read: (key) => memory.read(key),
    complete: (made, answer) => memory.complete(made, answer),
    release: (made) => memory.release(made),
    ...given,
  });
  const unavailable = (): Promise<never> => Promise.reject(new ServiceError('store_unavailable'));

  beforeEach(() => {
    now = 0;
    troubles = [];
    pauses = [];
    meanwhile = () => undefined;
    done = [];
    memory = new MemoryAnswers(undefined, () => now);
  });

  it('do the work of every request without a key', async () => {
    expect(await once([], 'one')).toBe('one');
    expect(await once([], 'two')).toBe('two');
    expect(done).toEqual(['one', 'two']);
  });

  it('do the work of a key once, and return the first response to a repeated request', async () => {
    expect(await once([KEY], 'one')).toBe('one');
    expect(await once([KEY], 'two')).toBe('one');
    expect(await once([reservation('another')], 'three')).toBe('three');
    expect(done).toEqual(['one', 'three']);
  });

  it('remember an empty response', async () => {
    await once([KEY], '');
    expect(await once([KEY], 'two')).toBe('');
  });

  it('reserve every key before the work, and complete every key after it', async () => {
    const answer = await answersIn(memory).once([KEY, SIGNATURE], async () => {
      expect(await memory.read('key')).toMatchObject({ answer: undefined });
      expect(await memory.read('signature')).toMatchObject({ answer: undefined });
      return 'one';
    });
    expect(answer).toBe('one');
    expect(await memory.read('key')).toMatchObject({ answer: 'one' });
    expect(await memory.read('signature')).toMatchObject({ answer: 'one' });
  });

  it.each([
    ['the only key', [reservation('key', 'other')]],
    ['after another key', [reservation('new'), reservation('key', 'other')]],
  ])('refuse a key that was used for a different request (%s)', async (_where, reservations) => {
    await once([KEY], 'one');
    await expect(once(reservations, 'two')).rejects.toMatchObject({
      code: 'parameter_wrong',
      detail: {
        'en-us': 'The Idempotency-Key was used before for a different request.',
        'zh-cn': '该Idempotency-Key已用于其他请求。',
      },
    });
    expect(done).toEqual(['one']);
    expect(await memory.read('new')).toBeUndefined();
  });

  it('refuse a used key immediately while its first request is in progress', async () => {
    await memory.reserve(KEY);
    await expect(once([reservation('key', 'other')], 'two')).rejects.toMatchObject({
      code: 'parameter_wrong',
    });
    expect(pauses).toEqual([]);
  });

  it('wait for the response to a request in progress, with growing pauses', async () => {
    await memory.reserve(KEY);
    meanwhile = () => pauses.length === 5 && memory.complete(KEY, 'one');
    expect(await once([KEY], 'two')).toBe('one');
    expect(done).toEqual([]);
    expect(pauses).toEqual([50, 100, 200, 250, 250]);
  });

  it('stop waiting one second after the time limit of the first request', async () => {
    await memory.reserve({ ...KEY, limitMs: 2000 });
    expect(await once([KEY], 'two')).toBeUndefined();
    expect(now).toBeGreaterThan(3000);
    expect(now).toBeLessThan(3500);
    expect(done).toEqual([]);
    expect(await once([KEY], 'three')).toBeUndefined();
  });

  it('wait at most until the deadline of the request, and keep the response to the first one', async () => {
    await memory.reserve(KEY);
    expect(await answersIn(memory).once([KEY], work('two'), 620)).toBeUndefined();
    expect(now).toBe(620);
    await memory.complete(KEY, 'one');
    expect(await once([KEY], 'three')).toBe('one');
    expect(done).toEqual([]);
  });

  it('return a found response even if another key cannot be reserved, and report the error', async () => {
    await once([KEY], 'one');
    const store = storeWith({
      reserve: (wanted) => (wanted.key === 'signature' ? unavailable() : memory.reserve(wanted)),
    });
    expect(await answersIn(store).once([KEY, SIGNATURE], work('two'))).toBe('one');
    expect(troubles).toMatchObject([{ code: 'store_unavailable' }]);
  });

  it('do the work of a request that released the key', async () => {
    await memory.reserve(KEY);
    meanwhile = () => pauses.length === 2 && memory.release(KEY);
    expect(await once([KEY], 'two')).toBe('two');
    expect(await memory.read('key')).toMatchObject({ answer: 'two', ageMs: 0 });
  });

  it('refuse a key that is released and reserved by a different request during the wait', async () => {
    await memory.reserve(KEY);
    meanwhile = async () => {
      if (pauses.length !== 1) return;
      await memory.release(KEY);
      await memory.reserve(reservation('key', 'other'));
    };
    await expect(once([KEY], 'two')).rejects.toMatchObject({ code: 'parameter_wrong' });
  });

  it('let exactly one of 20 waiting requests do the work if the first one fails', async () => {
    const answers = new IdempotentResponses(memory, (error) => troubles.push(error));
    let fail = (): void => undefined;
    const first = answers.once([KEY, SIGNATURE], async () => {
      await new Promise<void>((resolve) => (fail = resolve));
      return await fails();
    });
    const others = Array.from({ length: 20 }, (_none, index) =>
      answers.once([KEY, SIGNATURE], work(index.toString())),
    );
    await Promise.resolve().then(() => new Promise((resolve) => setImmediate(resolve)));
    fail();
    await expect(first).rejects.toMatchObject({ code: 'node_unavailable' });
    expect(new Set(await Promise.all(others))).toEqual(new Set(done));
    expect(done).toHaveLength(1);
  });

  it('release every key, and rethrow the error, if the work throws', async () => {
    await expect(answersIn(memory).once([KEY, SIGNATURE], fails)).rejects.toMatchObject({
      code: 'node_unavailable',
    });
    expect(await once([KEY, SIGNATURE], 'two')).toBe('two');
    expect(troubles).toEqual([]);
  });

  it('never release a key of another request', async () => {
    await memory.reserve(SIGNATURE);
    const store = storeWith({ read: unavailable });
    await expect(answersIn(store).once([KEY, SIGNATURE], work('two'))).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(await memory.read('key')).toBeUndefined();
    expect(await memory.read('signature')).toBeDefined();
  });

  it('store a found response under the other keys of the request', async () => {
    await once([KEY], 'one');
    const [before, behind] = [reservation('before'), reservation('behind')];
    expect(await once([before, KEY, behind], 'two')).toBe('one');
    expect(await once([before], 'three')).toBe('one');
    expect(await once([behind], 'four')).toBe('one');
    expect(done).toEqual(['one']);
  });

  it('never do the work of a dead request under another key', async () => {
    await memory.reserve({ ...KEY, limitMs: 0 });
    const [before, behind] = [reservation('before'), reservation('behind')];
    expect(await once([before, KEY, behind], 'two')).toBeUndefined();
    expect(await once([before], 'three')).toBeUndefined();
    expect(await once([behind], 'four')).toBeUndefined();
    expect(done).toEqual([]);
  });

  it('measure the time limit from the end of the wait', async () => {
    await memory.reserve(SIGNATURE);
    meanwhile = () => pauses.length === 20 && memory.release(SIGNATURE);
    const answer = await answersIn(memory).once([KEY, SIGNATURE], async () => {
      expect(await memory.read('key')).toMatchObject({ ageMs: 0 });
      return 'two';
    });
    expect(answer).toBe('two');
  });

  it.each(['key', 'signature'])('do no work if the %s cannot be reserved', async (broken) => {
    const store = storeWith({
      reserve: (wanted) => (wanted.key === broken ? unavailable() : memory.reserve(wanted)),
    });
    await expect(answersIn(store).once([KEY, SIGNATURE], work('one'))).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(done).toEqual([]);
    expect(await memory.read('key')).toBeUndefined();
  });

  it('return the response even if it cannot be stored, and report the error', async () => {
    const store = storeWith({
      complete: (made, answer) => (made === KEY ? unavailable() : memory.complete(made, answer)),
    });
    expect(await answersIn(store).once([KEY, SIGNATURE], work('one'))).toBe('one');
    expect(troubles).toMatchObject([{ code: 'store_unavailable' }]);
    expect(await memory.read('key')).toMatchObject({ answer: undefined });
    expect(await memory.read('signature')).toMatchObject({ answer: 'one' });
  });

  it('throw the error of the work even if the keys cannot be released, and report both errors', async () => {
    const store = storeWith({ release: unavailable });
    await expect(answersIn(store).once([KEY, SIGNATURE], fails)).rejects.toMatchObject({
      code: 'node_unavailable',
    });
    expect(troubles).toHaveLength(2);
  });
});
