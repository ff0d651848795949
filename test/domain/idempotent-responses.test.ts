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

describe('first answers', () => {
  let now = 0;
  let troubles: unknown[];
  let pauses: number[];
  /** What happens while somebody waits. */
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
  /** The memory, except for what is given; it calls the store's own methods otherwise. */
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

  it('just does the work when there is no key', async () => {
    expect(await once([], 'one')).toBe('one');
    expect(await once([], 'two')).toBe('two');
    expect(done).toEqual(['one', 'two']);
  });

  it('does the work once, and gives the first answer to whoever comes again', async () => {
    expect(await once([KEY], 'one')).toBe('one');
    expect(await once([KEY], 'two')).toBe('one');
    expect(await once([reservation('another')], 'three')).toBe('three');
    expect(done).toEqual(['one', 'three']);
  });

  it('remembers an empty answer, too', async () => {
    await once([KEY], '');
    expect(await once([KEY], 'two')).toBe('');
  });

  it('has every key reserved before the work, and answered only after it', async () => {
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
    ['before', [reservation('key', 'other')]],
    ['behind another key', [reservation('new'), reservation('key', 'other')]],
  ])('refuses a key that was used for a different request (%s)', async (_where, reservations) => {
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

  it('refuses it at once while the first request is still under way', async () => {
    await memory.reserve(KEY);
    await expect(once([reservation('key', 'other')], 'two')).rejects.toMatchObject({
      code: 'parameter_wrong',
    });
    expect(pauses).toEqual([]);
  });

  it('waits for the answer of a request that is under way, ever more patiently', async () => {
    await memory.reserve(KEY);
    meanwhile = () => pauses.length === 5 && memory.complete(KEY, 'one');
    expect(await once([KEY], 'two')).toBe('one');
    expect(done).toEqual([]);
    expect(pauses).toEqual([50, 100, 200, 250, 250]);
  });

  it('gives up a second after the limit of the request that it waits for', async () => {
    await memory.reserve({ ...KEY, limitMs: 2000 });
    expect(await once([KEY], 'two')).toBeUndefined();
    expect(now).toBeGreaterThan(3000);
    expect(now).toBeLessThan(3500);
    expect(done).toEqual([]);
    expect(await once([KEY], 'three')).toBeUndefined();
  });

  it('waits no longer than its own deadline, and leaves the answer to the first', async () => {
    await memory.reserve(KEY);
    expect(await answersIn(memory).once([KEY], work('two'), 620)).toBeUndefined();
    expect(now).toBe(620);
    await memory.complete(KEY, 'one');
    expect(await once([KEY], 'three')).toBe('one');
    expect(done).toEqual([]);
  });

  it('gives the answer that it found even if a further key cannot be reserved, and tells of that', async () => {
    await once([KEY], 'one');
    const store = storeWith({
      reserve: (wanted) => (wanted.key === 'signature' ? unavailable() : memory.reserve(wanted)),
    });
    expect(await answersIn(store).once([KEY, SIGNATURE], work('two'))).toBe('one');
    expect(troubles).toMatchObject([{ code: 'store_unavailable' }]);
  });

  it('takes over from a request that let go', async () => {
    await memory.reserve(KEY);
    meanwhile = () => pauses.length === 2 && memory.release(KEY);
    expect(await once([KEY], 'two')).toBe('two');
    expect(await memory.read('key')).toMatchObject({ answer: 'two', ageMs: 0 });
  });

  it('finds out when the key is let go and then used for a different request', async () => {
    await memory.reserve(KEY);
    meanwhile = async () => {
      if (pauses.length !== 1) return;
      await memory.release(KEY);
      await memory.reserve(reservation('key', 'other'));
    };
    await expect(once([KEY], 'two')).rejects.toMatchObject({ code: 'parameter_wrong' });
  });

  it('lets many wait, and one of them take over when the first fails', async () => {
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

  it('frees every key, and passes the error on, when the work throws', async () => {
    await expect(answersIn(memory).once([KEY, SIGNATURE], fails)).rejects.toMatchObject({
      code: 'node_unavailable',
    });
    expect(await once([KEY, SIGNATURE], 'two')).toBe('two');
    expect(troubles).toEqual([]);
  });

  it('frees nobody else’s key', async () => {
    await memory.reserve(SIGNATURE);
    const store = storeWith({ read: unavailable });
    await expect(answersIn(store).once([KEY, SIGNATURE], work('two'))).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(await memory.read('key')).toBeUndefined();
    expect(await memory.read('signature')).toBeDefined();
  });

  it('puts the answer that it found under the keys before and behind it', async () => {
    await once([KEY], 'one');
    const [before, behind] = [reservation('before'), reservation('behind')];
    expect(await once([before, KEY, behind], 'two')).toBe('one');
    expect(await once([before], 'three')).toBe('one');
    expect(await once([behind], 'four')).toBe('one');
    expect(done).toEqual(['one']);
  });

  it('leaves no other key of a request that died to do the work after all', async () => {
    await memory.reserve({ ...KEY, limitMs: 0 });
    const [before, behind] = [reservation('before'), reservation('behind')];
    expect(await once([before, KEY, behind], 'two')).toBeUndefined();
    expect(await once([before], 'three')).toBeUndefined();
    expect(await once([behind], 'four')).toBeUndefined();
    expect(done).toEqual([]);
  });

  it('counts its own limit from when it stopped waiting', async () => {
    await memory.reserve(SIGNATURE);
    meanwhile = () => pauses.length === 20 && memory.release(SIGNATURE);
    const answer = await answersIn(memory).once([KEY, SIGNATURE], async () => {
      expect(await memory.read('key')).toMatchObject({ ageMs: 0 });
      return 'two';
    });
    expect(answer).toBe('two');
  });

  it.each(['key', 'signature'])('does nothing when it cannot reserve the %s', async (broken) => {
    const store = storeWith({
      reserve: (wanted) => (wanted.key === broken ? unavailable() : memory.reserve(wanted)),
    });
    await expect(answersIn(store).once([KEY, SIGNATURE], work('one'))).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(done).toEqual([]);
    expect(await memory.read('key')).toBeUndefined();
  });

  it('returns the answer even if it cannot be put down, and tells of that', async () => {
    const store = storeWith({
      complete: (made, answer) => (made === KEY ? unavailable() : memory.complete(made, answer)),
    });
    expect(await answersIn(store).once([KEY, SIGNATURE], work('one'))).toBe('one');
    expect(troubles).toMatchObject([{ code: 'store_unavailable' }]);
    expect(await memory.read('key')).toMatchObject({ answer: undefined });
    expect(await memory.read('signature')).toMatchObject({ answer: 'one' });
  });

  it('throws the error of the work even if the keys cannot be freed, and tells of that', async () => {
    const store = storeWith({ release: unavailable });
    await expect(answersIn(store).once([KEY, SIGNATURE], fails)).rejects.toMatchObject({
      code: 'node_unavailable',
    });
    expect(troubles).toHaveLength(2);
  });
});
