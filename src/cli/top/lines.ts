import stringWidth from 'string-width';
import type { Screen } from '../cli-context.ts';
import { formatDuration, plural } from '../durations.ts';
import { isWaiting } from '../filters.ts';
import { groupTable } from '../groups.ts';
import { listTrouble } from '../list.ts';
import { sessionTable } from '../session-table.ts';
import { cut } from '../table.ts';
import { visible } from '../visible.ts';
import { rowKeys, type Page, type PageLine, type TopState } from './state.ts';

/** A line of the screen. */
export interface Line {
  readonly text: string;
  readonly tone?: 'cursor' | 'title' | 'warning' | 'failure' | 'quiet';
}

/** The rows besides those of the list: four above, one with the titles of its columns, and one below. */
const OTHER_ROWS = 6;
/** The marks of the cursor and of a marked session, with a blank. */
const GUTTER = 3;
const KEYS = '? help  q quit  / filter  s sort  g group  b blockers  Enter details  K end';

/** Returns the number of rows that the list, or a page, can use. */
export function bodyRows({ rows }: TopState): number {
  return Math.max(1, rows - OTHER_ROWS);
}

/** Returns the lines above the list: nodes and time, numbers, what the list shows, and why something is missing. */
export function headLines(state: TopState): readonly Line[] {
  const { nodes, intervalSeconds, readAt, isPaused } = state;
  const time = readAt === undefined ? 'reading the list' : readAt.toLocaleTimeString('sv');
  const first = `${nodes}  every ${intervalSeconds} s  ${time}${isPaused ? '  PAUSED' : ''}`;
  return [
    { text: first, tone: 'title' },
    { text: numbers(state) },
    { text: view(state), tone: 'quiet' },
    message(state),
  ];
}

/** Returns the line below the list: the prompt, else a notice, else the keys. */
export function footLine({ prompt, notice, page }: TopState): Line {
  if (prompt !== undefined) return { text: `${prompt.label}${visible(prompt.text)}_` };
  if (notice !== undefined) return { text: notice, tone: 'warning' };
  if (page === undefined) return { text: KEYS, tone: 'quiet' };
  if (page.isLocked)
    return { text: 'Ctrl-C stops the wait and prints what is known.', tone: 'quiet' };
  const more = page.kind === 'blockers' ? '  K end the root blocker  r read again' : '';
  return { text: `Esc back${more}`, tone: 'quiet' };
}

/** Returns the titles and the rows of the list, of the groups or of the page. */
export function bodyLines(state: TopState, screen: Screen): readonly Line[] {
  const { page, groupBy, groups, shown, position, isNodeShown } = state;
  if (page !== undefined) return linesOfPage(state, page);
  const keys = rowKeys(state);
  const start = windowStart(position, keys.length, bodyRows(state));
  const end = start + bodyRows(state);
  const narrow = { ...screen, columns: () => state.columns - GUTTER };
  const table =
    groupBy === undefined
      ? sessionTable(shown.slice(start, end), narrow, isNodeShown)
      : groupTable(groups.slice(start, end), groupBy, narrow);
  return table.split('\n').map((row, index): Line => {
    if (index === 0) return { text: ' '.repeat(GUTTER) + row };
    const key = keys[start + index - 1] ?? '';
    const isCursor = key === state.cursor;
    const mark = state.marked.has(key) && groupBy === undefined ? '*' : ' ';
    const text = `${isCursor ? '>' : ' '}${mark} ${row}`;
    return isCursor ? { text: padded(text, state.columns), tone: 'cursor' } : { text };
  });
}

/** Returns the lines of a page as the screen shows them: trees are cut, all other lines are wrapped. */
export function pageLines({ columns }: TopState, page: Page): readonly PageLine[] {
  if (page.kind === 'blockers') return page.lines;
  return page.lines.flatMap(({ text }) => wrapped(text, columns).map((part) => ({ text: part })));
}

function linesOfPage(state: TopState, page: Page): readonly Line[] {
  const { kind, title, position, progress } = page;
  const lines = pageLines(state, page);
  const height = bodyRows(state);
  const isTree = kind === 'blockers';
  const last = Math.max(0, lines.length - height);
  const start = isTree ? windowStart(position, lines.length, height) : Math.min(position, last);
  const range =
    lines.length > height
      ? `  lines ${start + 1} to ${Math.min(lines.length, start + height)} of ${lines.length}`
      : '';
  const working = progress === undefined ? '' : `  ${progress}`;
  return [
    { text: `${title}${working}${range}`, tone: 'title' },
    ...lines.slice(start, start + height).map(({ text }, index): Line => {
      if (!isTree) return { text };
      const isCursor = start + index === position;
      const marked = cut(`${isCursor ? '> ' : '  '}${text}`, state.columns);
      return isCursor ? { text: padded(marked, state.columns), tone: 'cursor' } : { text: marked };
    }),
  ];
}

function numbers({ listing }: TopState): string {
  if (listing === undefined) return '';
  const { sessions, noTransactions } = listing;
  const running = sessions.filter(({ command }) => command !== 'Sleep').length;
  const waiting = sessions.filter(isWaiting).length;
  const oldest = sessions.reduce(
    (most, { transaction }) => Math.max(most, transaction?.seconds ?? -1),
    -1,
  );
  const isKnown = noTransactions.length === 0;
  const age = oldest >= 0 ? formatDuration(oldest) : isKnown ? 'none' : '?';
  return `Connections ${sessions.length}  running ${running}  waiting for locks ${waiting}${isKnown ? '' : '?'}  oldest transaction ${age}`;
}

function view(state: TopState): string {
  const { listing, shown, filterText, sortText, groupBy, marked } = state;
  if (listing === undefined) return '';
  const total = listing.sessions.length;
  const count =
    shown.length === total
      ? plural(total, 'session')
      : `${shown.length} of ${plural(total, 'session')}`;
  return [
    ...(filterText === '' ? [count] : [`${count}: ${visible(filterText)}`]),
    ...(groupBy === undefined ? [`sorted by ${sortText}`] : [`grouped by ${groupBy}`]),
    ...(marked.size > 0 ? [`${marked.size} marked`] : []),
  ].join('  ');
}

/** Returns the trouble of the last read, or why something is missing. */
function message({ prompt, notice, trouble, listing }: TopState): Line {
  if (prompt !== undefined && notice !== undefined) return { text: notice, tone: 'warning' };
  if (trouble !== undefined) return { text: trouble, tone: 'failure' };
  const [failure] = listing?.failures ?? [];
  if (failure !== undefined) return { text: listTrouble(failure), tone: 'failure' };
  const [reason] = listing?.noTransactions ?? [];
  if (reason === undefined) return { text: '' };
  return { text: visible(`Transactions are not shown by ${reason}`), tone: 'warning' };
}

/** Returns the first row of the screenful that holds a row. A screenful stays until the cursor leaves it. */
function windowStart(position: number, count: number, height: number): number {
  const inside = Math.min(position, Math.max(0, count - 1));
  return Math.floor(inside / height) * height;
}

function padded(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - stringWidth(text)));
}

/** Breaks a text into lines, at blanks if there are any. */
function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let [line, used, blank] = ['', 0, -1];
  for (const character of text) {
    if (used + stringWidth(character) > width) {
      const end = blank > 0 ? blank : line.length;
      lines.push(line.slice(0, end));
      line = line.slice(blank > 0 ? blank + 1 : end);
      [used, blank] = [stringWidth(line), -1];
    }
    if (character === ' ') blank = line.length;
    line += character;
    used += stringWidth(character);
  }
  return [...lines, line];
}
