import { bounded } from '../bounded.ts';
import { CommandError } from '../failures.ts';
import { readOrder, type Filter, type Order } from '../filters.ts';
import { groupsOf, type Group, type GroupKey } from '../groups.ts';
import { sessionName } from '../session-table.ts';
import type { ListedSession, Listing } from '../listing.ts';
import { plural } from '../durations.ts';
import { readFilterText } from './filter-text.ts';

/** A line of a page, with the root blocker that it shows. */
export interface PageLine {
  readonly text: string;
  readonly root?: Root;
}

/** A root blocker that can be ended, or the reason why it cannot. */
export type Root =
  | { readonly session: ListedSession; readonly waiters: readonly bigint[] }
  | { readonly why: string };

/** Text in place of the sessions, until the user closes it. */
export interface Page {
  readonly kind: 'details' | 'blockers' | 'help' | 'kill';
  readonly title: string;
  readonly lines: readonly PageLine[];
  /** The marked line of blockers; the first visible line of other pages. */
  readonly position: number;
  /** The progress of the work that fills the page; undefined once it is complete. */
  readonly progress?: string | undefined;
  /** True while sessions are being ended: only Ctrl-C stops the wait. */
  readonly isLocked?: boolean;
}

/** A line that the user types. */
export interface Prompt {
  readonly kind: 'filter' | 'sort' | 'answer';
  readonly label: string;
  readonly text: string;
}

/** The content of the screen. */
export interface TopState {
  readonly columns: number;
  readonly rows: number;
  /** The labels of the nodes. */
  readonly nodes: string;
  readonly isNodeShown: boolean;
  readonly intervalSeconds: number;
  /** The last list that was read; undefined before the first. */
  readonly listing: Listing | undefined;
  readonly readAt: Date | undefined;
  /** The error of the last read; undefined if it succeeded. */
  readonly trouble: string | undefined;
  readonly isPaused: boolean;
  readonly filterText: string;
  readonly passes: Filter;
  readonly sortText: string;
  readonly order: Order;
  readonly groupBy: GroupKey | undefined;
  /** The sessions that pass the filter, in order. */
  readonly shown: readonly ListedSession[];
  readonly groups: readonly Group[];
  /** The key of the session, or the name of the group, under the cursor. */
  readonly cursor: string | undefined;
  /** The row of the cursor, also after its session has ended. */
  readonly position: number;
  readonly marked: ReadonlySet<string>;
  /** A sentence for the user, until the next key. */
  readonly notice: string | undefined;
  readonly page: Page | undefined;
  readonly prompt: Prompt | undefined;
}

/** Returns the first state. Throws a usage error for a bad filter or order. */
export function firstState(
  start: Pick<TopState, 'columns' | 'rows' | 'nodes' | 'isNodeShown' | 'intervalSeconds'> &
    Pick<TopState, 'filterText' | 'sortText'>,
): TopState {
  return {
    ...start,
    ...{ listing: undefined, readAt: undefined, trouble: undefined, isPaused: false },
    passes: readFilterText(start.filterText),
    order: readOrder(start.sortText),
    ...{ shown: [], groups: [], cursor: undefined, position: 0, marked: new Set<string>() },
    ...{ groupBy: undefined, notice: undefined, page: undefined, prompt: undefined },
  };
}

/** Returns the key of a session, which no later session with the same id has. */
export function keyOf({ node, id, host, user }: ListedSession): string {
  return `${node}/${id}/${user}@${host}`;
}

/** Returns the state with a new list. The cursor and the marks follow their sessions. */
export function received(state: TopState, listing: Listing, readAt: Date): TopState {
  const next = arranged({ ...state, listing, readAt, trouble: undefined });
  if (next.cursor === undefined) return { ...next, cursor: rowKeys(next)[0], position: 0 };
  // The cursor then has no row: K must not end the session that moved up.
  const isGone = !rowKeys(next).includes(next.cursor) && rowKeys(state).includes(next.cursor);
  return isGone ? { ...next, notice: next.notice ?? 'The row under the cursor is gone.' } : next;
}

/** Returns the state after a change of the filter, the order or the groups. A cursor that loses its row goes to the first one. */
export function rearranged(state: TopState): TopState {
  const next = arranged(state);
  const isShown = next.cursor !== undefined && rowKeys(next).includes(next.cursor);
  return isShown ? next : { ...next, cursor: rowKeys(next)[0], position: 0 };
}

/** Returns the state with the list filtered, sorted and grouped again. A filter that hangs is dropped. */
function arranged(state: TopState): TopState {
  const { listing, passes, order, groupBy, marked } = state;
  if (listing === undefined) return state;
  let shown: readonly ListedSession[];
  try {
    shown = bounded(() => listing.sessions.filter(passes)).sort(order);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const dropped = { ...state, filterText: '', passes: readFilterText('') };
    return { ...arranged(dropped), notice: `The filter is dropped. ${error.message}` };
  }
  const keys = new Set(shown.map(keyOf));
  const lost = [...marked].filter((key) => !keys.has(key));
  const next: TopState = {
    ...state,
    shown,
    groups: groupBy === undefined ? [] : groupsOf(shown, groupBy),
    marked: lost.length === 0 ? marked : new Set([...marked].filter((key) => keys.has(key))),
    ...(lost.length > 0 && { notice: lostNotice(state, lost) }),
  };
  const position = next.cursor === undefined ? -1 : rowKeys(next).indexOf(next.cursor);
  return position < 0 ? next : { ...next, position };
}

/** Returns the keys of the rows: of sessions, or of groups. */
export function rowKeys({ groupBy, groups, shown }: TopState): readonly string[] {
  return groupBy === undefined ? shown.map(keyOf) : groups.map(({ name }) => name);
}

function lostNotice({ shown, listing }: TopState, lost: readonly string[]): string {
  const listed = new Set(listing?.sessions.map(keyOf));
  const sessions = shown.filter((session) => lost.includes(keyOf(session)));
  const why = lost.some((key) => listed.has(key))
    ? lost.every((key) => listed.has(key))
      ? 'filtered out'
      : 'ended or filtered out'
    : 'ended';
  const [first, ...others] = sessions;
  const what =
    first !== undefined && others.length === 0
      ? `Session ${sessionName(first)}`
      : plural(lost.length, 'marked session');
  return `${what} left the selection: ${why}.`;
}
