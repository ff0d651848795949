import { bodyRows } from './layout.ts';
import { pageLines } from './page-lines.ts';
import { keyOf, rowKeys, type Page, type TopState } from './state.ts';

/** The keys that also scroll a page below an open prompt. */
export const SCROLLING = ['upArrow', 'downArrow', 'pageUp', 'pageDown', 'home', 'end'];
const DOWN = ['downArrow', 'j'];

/** Returns the state after a key that may scroll the page. */
export function scrolled(state: TopState, page: Page, key: string): TopState {
  const lines = pageLines(state, page).length;
  const last = page.kind === 'blockers' ? lines - 1 : lines - bodyRows(state);
  const position = moved(page.position, Math.max(0, last), key, bodyRows(state));
  return { ...state, page: { ...page, position: position ?? page.position } };
}

/** Returns the state after a key that may move the cursor. */
export function movedCursor(state: TopState, key: string): TopState {
  const rows = rowKeys(state);
  const isShown = state.cursor !== undefined && rows.includes(state.cursor);
  // Without its row, the cursor stands between two rows.
  const from = !isShown && DOWN.includes(key) ? state.position - 1 : state.position;
  const position = moved(from, rows.length - 1, key, bodyRows(state));
  if (position === undefined || rows.length === 0) return state;
  return { ...state, position, cursor: rows[position] };
}

/** Marks the session under the cursor, or unmarks it, and moves on. */
export function toggled(state: TopState): TopState {
  const { shown, cursor, groupBy, position } = state;
  if (groupBy !== undefined)
    return { ...state, notice: 'Open the group with Enter to mark sessions.' };
  if (cursor === undefined || !shown.some((session) => keyOf(session) === cursor)) return state;
  const marked = new Set(state.marked);
  if (!marked.delete(cursor)) marked.add(cursor);
  const next = shown[position + 1];
  return { ...state, marked, ...(next && { cursor: keyOf(next), position: position + 1 }) };
}

/** Returns the row after a key, or undefined if the key does not move. */
function moved(position: number, last: number, key: string, height: number): number | undefined {
  const steps: Readonly<Record<string, number>> = {
    ...{ upArrow: -1, k: -1, downArrow: 1, j: 1 },
    ...{ pageUp: -height, pageDown: height, home: -Infinity, end: Infinity },
  };
  const step = Object.hasOwn(steps, key) ? steps[key] : undefined;
  return step === undefined
    ? undefined
    : Math.min(last, Math.max(0, Math.min(position, last) + step));
}
