import type { ListedSession } from '../../src/cli/listing.ts';

/** A pattern and a text that RE2 needs more than 5 s for: its automaton gets a new state with each character. */
export const SLOW_PATTERN = '/(?:a.{1,90}){10}$/';
export const SLOW_TEXT = Array.from({ length: 500_000 }, (_, index) =>
  Math.sin(index * index) > 0 ? 'a' : 'b',
).join('');

/** A session as a list shows it. */
export function listed(changes: Partial<ListedSession> = {}): ListedSession {
  return {
    node: 'no1',
    id: 7n,
    user: 'app',
    host: '10.0.0.4:51234',
    db: 'shop',
    command: 'Query',
    time: 12,
    state: 'Sending data',
    info: 'SELECT 1',
    ...changes,
  };
}
