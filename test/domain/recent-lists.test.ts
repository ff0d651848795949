import { expect, it } from '@jest/globals';
import { RecentLists } from '../../src/domain/recent-lists.ts';

it('gives no list that is older than two seconds, though younger ones stand before it', () => {
  const lists = new RecentLists();
  lists.keep('quick', [], 4900);
  lists.keep('slow', [], 4000);
  expect(lists.of('slow', 6000)).toEqual([]);
  expect(lists.of('slow', 6001)).toBeUndefined();
  expect(lists.of('quick', 6001)).toEqual([]);
});
