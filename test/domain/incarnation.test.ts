import { describe, expect, it } from '@jest/globals';
import { isSameIncarnation } from '../../src/domain/session.ts';

describe('the incarnation of a later connection', () => {
  const first = sighting();
  const earlier = { ...first, usedAt: 5000 };

  it.each([
    ['is the same if its id is higher', true, sighting({ id: 8n, seenAt: 6000 })],
    ['may be another one that started in the same second', false, sighting({ seenAt: 6000 })],
    ['is the same if the connection was already open', true, sighting({ id: 3n, seenAt: 4999 })],
    [
      'may be another one if the connection was not yet open',
      false,
      sighting({ id: 3n, seenAt: 5000 }),
    ],
    [
      'is the same if only the reported start time differs',
      true,
      sighting({ id: 8n, startedAt: 102 }),
    ],
    ['is another one if its run differs', false, sighting({ id: 8n, run: 2 })],
    ['is another one if the server identity differs', false, sighting({ id: 8n, server: 'b' })],
  ])('%s', (_what, expected, later) => {
    expect(isSameIncarnation(earlier, later)).toBe(expected);
  });
});

function sighting({ id = 7n, server = 'a', startedAt = 100, run = 1, seenAt = 4000 } = {}) {
  return { id, incarnation: { server, startedAt, run, begunBy: 0, seenAt } };
}
