import { expect, it } from '@jest/globals';
import { PageCache } from '../../src/domain/user-sessions.ts';

it('a page cache returns no list older than two seconds, even behind a younger list', () => {
  const cache = new PageCache();
  const listed = { ascending: [], transactions: undefined };
  cache.keep('quick', listed, 4900);
  cache.keep('slow', listed, 4000);
  expect(cache.get('slow', 6000)).toBe(listed);
  expect(cache.get('slow', 6001)).toBeUndefined();
  expect(cache.get('quick', 6001)).toBe(listed);
});
