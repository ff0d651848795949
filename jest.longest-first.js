import TestSequencer from '@jest/test-sequencer';

/** The test files that take longest. If one of them began last, it would run alone at the end. */
const LONGEST = [
  'torture/seeded-bugs',
  'node/fault-matrix',
  'http/strangers',
  'http/fuzz',
  'node/full-node',
  'docs/commands',
  'node/restart',
  'node/audit',
  'http/keep-alive',
];

/** Begins with the longest test files; the others follow in Jest's own order. */
export default class LongestFirst extends TestSequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const place = LONGEST.findIndex((name) => path.includes(name));
      return place < 0 ? LONGEST.length : place;
    };
    return super.sort(tests).sort((one, other) => rank(one) - rank(other));
  }
}
