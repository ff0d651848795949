import { expect, it } from '@jest/globals';
import { PageCache } from '../../src/domain/user-sessions.ts';

it('a page cache returns no list older than two seconds, even behind a younger list', () => {
  const cache = new PageCache();
  cache.keep('quick', [], 4900);
  cache.keep('slow', [], 4000);
  expect(cache.get('slow', 6000)).toEqual([]);
  expect(cache.get('slow', 6001)).toBeUndefined();
  expect(cache.get('quick', 6001)).toEqual([]);
});
