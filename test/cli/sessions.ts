import type { ListedSession } from '../../src/cli/listing.ts';

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
