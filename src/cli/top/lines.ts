import type { Screen } from '../cli-context.ts';
import { formatDuration, plural } from '../durations.ts';
import { isWaiting } from '../filters.ts';
import { groupTable } from '../groups.ts';
import { listTrouble } from '../list.ts';
import { sessionTable } from '../session-table.ts';
import { cut } from '../table.ts';
import { visible } from '../visible.ts';
import { bodyRows, padded, windowStart, type Line } from './layout.ts';
import { linesOfPage } from './page-lines.ts';
import { rowKeys, type TopState } from './state.ts';

/** The marks of the cursor and of a marked session, with a blank. */
const GUTTER = 3;
const HINT_IN_GROUPS = '? help  q quit  Enter shows the sessions of the group  g group  Esc back';
const HINT = '? help  q quit  / filter  s sort  g group  b blockers  Enter details  K end';

/** Returns the lines above the list: nodes and time, numbers, filter and order, and the cause of missing data. */
export function headLines(state: TopState): readonly Line[] {
  const { nodes, intervalSeconds, readAt, isPaused, columns } = state;
  const time = readAt === undefined ? 'reading the list' : readAt.toLocaleTimeString('sv');
  const rest = `  every ${intervalSeconds} s  ${time}${isPaused ? '  PAUSED' : ''}`;
  return [
    // Of many nodes, the last ones are cut, but never the time.
    { text: cut(nodes, Math.max(1, columns - rest.length)) + rest, tone: 'title' },
    { text: numbers(state) },
    { text: view(state), tone: 'quiet' },
    message(state),
  ];
}

/** Returns the line below the list: the prompt, else a notice, else the keys. */
export function footLine({ prompt, notice, page, groupBy }: TopState): Line {
  if (prompt !== undefined) return { text: `${prompt.label}${visible(prompt.text)}_` };
  if (notice !== undefined) return { text: visible(notice), tone: 'warning' };
  if (page === undefined) {
    return { text: groupBy === undefined ? HINT : HINT_IN_GROUPS, tone: 'quiet' };
  }
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
  const lines = table.split('\n').map((row, index): Line => {
    if (index === 0) return { text: ' '.repeat(GUTTER) + row };
    const key = keys[start + index - 1] ?? '';
    const isCursor = key === state.cursor;
    const mark = state.marked.has(key) && groupBy === undefined ? '*' : ' ';
    const text = `${isCursor ? '>' : ' '}${mark} ${row}`;
    return isCursor ? { text: padded(text, state.columns), tone: 'cursor' } : { text };
  });
  const isEmpty = keys.length === 0 && state.listing !== undefined;
  return isEmpty
    ? [...lines, { text: `${' '.repeat(GUTTER)}No session passes the filter.`, tone: 'quiet' }]
    : lines;
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
    count,
    ...(marked.size > 0 ? [`${marked.size} marked`] : []),
    groupBy === undefined ? `sorted by ${sortText}` : `grouped by ${groupBy}`,
    ...(filterText === '' ? [] : [`filter ${visible(filterText)}`]),
  ].join('  ');
}

/** Returns the error of the last read, or the cause of missing data. */
function message({ prompt, notice, trouble, listing }: TopState): Line {
  if (prompt !== undefined && notice !== undefined) {
    return { text: visible(notice), tone: 'warning' };
  }
  if (trouble !== undefined) return { text: trouble, tone: 'failure' };
  const [failure] = listing?.failures ?? [];
  if (failure !== undefined) return { text: listTrouble(failure), tone: 'failure' };
  const [reason] = listing?.noTransactions ?? [];
  if (reason === undefined) return { text: '' };
  return { text: visible(`Transactions are not shown by ${reason}`), tone: 'warning' };
}
