import type { Page } from './state.ts';

const KEYS = [
  ['up, down, j, k', 'move; also PageUp, PageDown, Home and End'],
  ['Space', 'mark the session, or unmark it'],
  ['Enter', 'show everything about the session; in groups, its sessions'],
  ['K', 'end the marked sessions, else the one at the cursor; asks first'],
  ['C', 'end only their statements: the sessions stay; asks first'],
  ['b', 'show which sessions block others: this reads the lock tables'],
  ['g', 'group by user, host, db, command, state; then sessions again'],
  ['s', 'sort by keys such as -time or user,-trx; - reverses the order'],
  ['/', 'filter by words such as user=app min-time=5m waiting orders'],
  ['p', 'pause, or go on'],
  ['r, Ctrl-L', 'read now, also while paused; draw the screen again'],
  ['Esc', 'go back; in the list, unmark all sessions'],
  ['q, Ctrl-C', 'quit'],
] as const;

const TEXT = `
Filters: user= db= host= command= state= info= min-time= min-trx-time= waiting in-transaction, and words of the user, host, db, state or statement. Quote blanks.
The cursor and the marks follow their sessions, not their rows.`;

/** The page of the keys. */
export const HELP: Page = {
  kind: 'help',
  title: 'Keys',
  lines: [...KEYS.map(([key, what]) => `${key.padEnd(16)}${what}`), ...TEXT.split('\n')].map(
    (text) => ({ text }),
  ),
  position: 0,
};
