import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { joinPages } from '../../src/client/joined-list.ts';
import type { Session } from '../../src/client/session.ts';

function session(id: bigint): Session {
  return { id, user: '', host: '', db: '', command: '', time: 0, state: '', info: '' };
}

/** Returns a reader of pages from a list of ids. Calls `change` on the list after each page. */
async function join(
  start: readonly bigint[],
  change: (ids: readonly bigint[], page: number) => readonly bigint[] = (ids) => ids,
): Promise<{ readonly ids: bigint[]; readonly pages: number }> {
  let ids = start;
  let pages = 0;
  const sessions = await joinPages(
    (offset, limit) => {
      const page = {
        items: ids.slice(offset, offset + limit).map(session),
        total: ids.length,
      };
      pages += 1;
      ids = change(ids, pages);
      return Promise.resolve(page);
    },
    ({ id }) => id,
  );
  return { ids: sessions.map(({ id }) => id), pages };
}

function range(from: number, to: number): bigint[] {
  return Array.from({ length: to - from }, (_, index) => BigInt(from + index));
}

describe('the pages of a list', () => {
  it.each([0, 1, 99, 100, 101, 199, 200, 3000])(
    'are joined if there are %d sessions',
    async (count) => {
      const all = range(1, count + 1);
      expect((await join(all)).ids).toEqual(all);
    },
  );

  it('are at most 21 for two thousand sessions', async () => {
    expect((await join(range(1, 2001))).pages).toBeLessThanOrEqual(21);
  });

  it('miss no session that stays while earlier sessions leave', async () => {
    const stay = range(500, 1000);
    const { ids } = await join([...range(1, 500), ...stay], (now, page) =>
      now.slice(page < 8 ? 60 : 0),
    );
    expect(ids.filter((id) => id >= 500n)).toEqual(stay);
  });

  it('show no session twice while earlier sessions appear', async () => {
    const ids = range(1, 301).map((id) => id * 10n);
    const joined = await join(ids, (now, page) =>
      [...now, BigInt(page), BigInt(page + 1000) + 5n].sort((one, other) => (one < other ? -1 : 1)),
    );
    expect(new Set(joined.ids).size).toBe(joined.ids.length);
    expect(ids.filter((id) => !joined.ids.includes(id))).toEqual([]);
  });

  it('end even if the list shrinks faster than it is read', async () => {
    const { pages } = await join(range(1, 5000), (now) => now.slice(100));
    expect(pages).toBeLessThan(60);
  });

  it('hold each session that stays once, in the order of ids, while others come and go', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.bigInt(1n, 2n ** 63n - 1n), { maxLength: 400 }),
        fc.array(fc.nat(40), { maxLength: 8 }),
        async (unordered, leavers) => {
          const order = (ids: readonly bigint[]) =>
            [...ids].sort((one, other) => (one < other ? -1 : 1));
          const all = order(unordered);
          const stay = all.filter((_, index) => index % 3 === 0);
          const { ids } = await join(all, (now, page) => {
            const mayLeave = now
              .filter((id) => !stay.includes(id))
              .slice(0, leavers[page - 1] ?? 0);
            return now.filter((id) => !mayLeave.includes(id));
          });
          expect(ids).toEqual(order([...new Set(ids)]));
          expect(stay.filter((id) => !ids.includes(id))).toEqual([]);
        },
      ),
      { numRuns: 100 },
    );
  });
});
