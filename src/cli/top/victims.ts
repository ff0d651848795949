import type { Filter } from '../filters.ts';
import type { ListedSession } from '../listing.ts';
import { keyOf, type TopState } from './state.ts';

/** The sessions to end. */
export interface Victims {
  readonly sessions: readonly ListedSession[];
  readonly scope: 'session' | 'statement';
  /** The filter of the list: a session that no longer passes is spared. */
  readonly passes: Filter;
  /** The sessions that wait for the only one to end: it is spared if it no longer blocks any of them. */
  readonly waiters?: readonly bigint[];
}

/** Returns the sessions that a key ends, or the reason why there are none. */
export function victimsOf(state: TopState, scope: Victims['scope']): Victims | string {
  const { page } = state;
  if (page?.kind === 'blockers') {
    const root = page.lines[page.position]?.root;
    if (root === undefined) return 'Move the cursor to a root blocker, at the left edge.';
    if ('why' in root) return root.why;
    return { sessions: [root.session], scope, passes: () => true, waiters: root.waiters };
  }
  if (state.groupBy !== undefined) return 'Open the group with Enter first.';
  const sessions = chosen(state);
  if (sessions.length === 0) return 'Move the cursor to a session first.';
  return { sessions, scope, passes: state.passes };
}

/** Returns the sessions to end: the marked ones, else the one under the cursor. */
export function chosen({ shown, marked, cursor, groupBy }: TopState): readonly ListedSession[] {
  if (groupBy !== undefined) return [];
  const keys = marked.size > 0 ? marked : new Set([cursor]);
  return shown.filter((session) => keys.has(keyOf(session)));
}
