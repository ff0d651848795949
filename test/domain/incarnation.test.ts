import { describe, expect, it } from '@jest/globals';
import { isSameIncarnation } from '../../src/domain/session.ts';

describe('what a later connection reaches', () => {
  const first = sighting();
  const earlier = { ...first, usedAt: 5000 };

  it.each([
    ['is the same when its id is higher', true, sighting({ id: 8n, seenAt: 6000 })],
    ['can be another that started in the same second', false, sighting({ seenAt: 6000 })],
    ['is the same when it was open already', true, sighting({ id: 3n, seenAt: 4999 })],
    ['can be another when it was not', false, sighting({ id: 3n, seenAt: 5000 })],
    ['is the same when the node tells another start', true, sighting({ id: 8n, startedAt: 102 })],
    ['is another when its run is not proven the same', false, sighting({ id: 8n, run: 2 })],
    ['is another when the server is', false, sighting({ id: 8n, server: 'b' })],
  ])('%s', (_what, expected, later) => {
    expect(isSameIncarnation(earlier, later)).toBe(expected);
  });
});

function sighting({ id = 7n, server = 'a', startedAt = 100, run = 1, seenAt = 4000 } = {}) {
  return { id, incarnation: { server, startedAt, run, begunBy: 0, seenAt } };
}
