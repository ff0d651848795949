import { CommandError } from '../failures.ts';
import { readOrder } from '../filters.ts';
import { GROUP_KEYS } from '../groups.ts';
import { movedCursor, scrolled, SCROLLING, toggled } from './cursor.ts';
import { exactPattern, readFilterText } from './filter-text.ts';
import { HELP } from './help-page.ts';
import { rearranged, type Page, type Prompt, type TopState } from './state.ts';

/** The work that follows a key, besides the new state on the screen. */
export type Action =
  | { readonly kind: 'quit' | 'interrupt' | 'redraw' | 'refresh' | 'details' | 'blockers' }
  | { readonly kind: 'kill'; readonly scope: 'session' | 'statement' }
  | { readonly kind: 'answer'; readonly text: string | undefined };

/** The state after a key, and the work that follows. */
export interface Pressed {
  readonly state: TopState;
  readonly action?: Action;
}

/** Returns the state after a key. */
export function press(before: TopState, key: string): Pressed {
  if (key === 'ctrl-c') return { state: before, action: { kind: 'interrupt' } };
  if (key === 'ctrl-l') return { state: before, action: { kind: 'redraw' } };
  const state = { ...before, notice: undefined };
  if (state.prompt !== undefined) return pressInPrompt(state, state.prompt, key);
  if (state.page !== undefined) return pressInPage(state, state.page, key);
  switch (key) {
    case 'q':
      return { state, action: { kind: 'quit' } };
    case '?':
      return { state: { ...state, page: HELP } };
    case 'p':
      return paused(state);
    case 'r':
      return { state, action: { kind: 'refresh' } };
    case '/':
      return { state: asking(state, 'filter', 'Filter: ', state.filterText) };
    case 's':
      return { state: asking(state, 'sort', 'Sort by: ', state.sortText) };
    case 'g':
      return { state: regrouped(state) };
    case 'b':
      return { state, action: { kind: 'blockers' } };
    case 'K':
      return { state, action: { kind: 'kill', scope: 'session' } };
    case 'C':
      return { state, action: { kind: 'kill', scope: 'statement' } };
    case ' ':
      return { state: toggled(state) };
    case 'return':
      return state.groupBy === undefined
        ? { state, action: { kind: 'details' } }
        : { state: opensGroup(state) };
    case 'escape':
      if (state.groupBy !== undefined)
        return { state: rearranged({ ...state, groupBy: undefined }) };
      return { state: { ...state, marked: new Set() } };
    default:
      return { state: movedCursor(state, key) };
  }
}

function pressInPrompt(state: TopState, prompt: Prompt, key: string): Pressed {
  const { kind, text } = prompt;
  if (key === 'escape') {
    const closed = { ...state, prompt: undefined };
    return kind === 'answer'
      ? { state: closed, action: { kind: 'answer', text: undefined } }
      : { state: closed };
  }
  if (key !== 'return') {
    const { page } = state;
    // The question is about the page: the user may scroll it.
    if (page !== undefined && SCROLLING.includes(key)) return { state: scrolled(state, page, key) };
    return { state: { ...state, prompt: { ...prompt, text: edited(text, key) } } };
  }
  if (kind === 'answer') {
    return { state: { ...state, prompt: undefined }, action: { kind: 'answer', text } };
  }
  try {
    const change =
      kind === 'filter'
        ? { filterText: text.trim(), passes: readFilterText(text) }
        : { sortText: text.trim(), order: readOrder(text.trim()) };
    return { state: rearranged({ ...state, ...change, prompt: undefined }) };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const notice = [error.message, error.hint].filter(Boolean).join(' ');
    return { state: { ...state, notice } };
  }
}

function edited(text: string, key: string): string {
  if (key === 'backspace') return [...text].slice(0, -1).join('');
  if (key === 'ctrl-u') return '';
  return [...key].length === 1 ? text + key : text;
}

function pressInPage(state: TopState, page: Page, key: string): Pressed {
  if (page.isLocked === true) return { state };
  const isKill = key === 'K' || key === 'C';
  if (isKill && page.kind === 'blockers') {
    return { state, action: { kind: 'kill', scope: key === 'K' ? 'session' : 'statement' } };
  }
  if (key === 'r' && page.kind === 'details') return { state, action: { kind: 'details' } };
  if (key === 'r' && page.kind === 'blockers') return { state, action: { kind: 'blockers' } };
  const isClosing =
    ['escape', 'q', 'return'].includes(key) || (key === 'b' && page.kind === 'blockers');
  if (isClosing) return { state: { ...state, page: undefined } };
  return { state: scrolled(state, page, key) };
}

function paused(state: TopState): Pressed {
  const next = { ...state, isPaused: !state.isPaused };
  return state.isPaused ? { state: next, action: { kind: 'refresh' } } : { state: next };
}

/** Groups by the next key. After the last one, the sessions are shown again. */
function regrouped(state: TopState): TopState {
  const at = state.groupBy === undefined ? -1 : GROUP_KEYS.indexOf(state.groupBy);
  return rearranged({ ...state, groupBy: GROUP_KEYS[at + 1] });
}

/** Shows the sessions of the group under the cursor. */
function opensGroup(state: TopState): TopState {
  const { groupBy, cursor, groups, filterText } = state;
  if (groupBy === undefined || !groups.some(({ name }) => name === cursor)) return state;
  const text = `${filterText} ${groupBy}=${exactPattern(cursor ?? '')}`.trim();
  const change = { groupBy: undefined, filterText: text, passes: readFilterText(text) };
  return rearranged({ ...state, ...change });
}

function asking(state: TopState, kind: Prompt['kind'], label: string, text: string): TopState {
  return { ...state, prompt: { kind, label, text } };
}
