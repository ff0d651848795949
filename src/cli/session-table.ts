import stringWidth from 'string-width';
import { formatCount, formatDuration } from './durations.ts';
import { nodeLabel, type ListedSession } from './listing.ts';
import type { Screen } from './cli-context.ts';
import { renderTable, type Column } from './table.ts';
import { visible } from './visible.ts';

/** A column of sessions, with the text of a cell. */
interface SessionColumn extends Column {
  readonly cell: (session: ListedSession) => string;
}

const NODE: SessionColumn = {
  ...{ title: 'NODE', minWidth: 9, hardMinWidth: 4, maxWidth: 36 },
  cell: nodeLabel,
};
const ID: SessionColumn = {
  ...{ title: 'ID', minWidth: 20, isNumber: true },
  cell: ({ id }) => id.toString(),
};
const USER: SessionColumn = {
  ...{ title: 'USER', minWidth: 8, hardMinWidth: 5, maxWidth: 32 },
  cell: ({ user }) => user,
};
const HOST: SessionColumn = {
  ...{ title: 'HOST', minWidth: 10, hardMinWidth: 8, maxWidth: 40 },
  cell: ({ host }) => host,
};
const HOST_ONLY: SessionColumn = { ...HOST, cell: ({ host }) => host.replace(/:\d+$/, '') };
const DB: SessionColumn = {
  ...{ title: 'DB', minWidth: 4, hardMinWidth: 3, maxWidth: 32 },
  cell: ({ db }) => db,
};
const COMMAND: SessionColumn = {
  ...{ title: 'COMMAND', minWidth: 7, maxWidth: 16 },
  cell: ({ command }) => command,
};
const TIME: SessionColumn = {
  ...{ title: 'TIME', minWidth: 7, isNumber: true },
  cell: ({ time }) => formatDuration(time),
};
const TRX: SessionColumn = {
  ...{ title: 'TRX', minWidth: 7, isNumber: true },
  cell: ({ transaction }) => known(transaction, ({ seconds }) => formatDuration(seconds)),
};
const ROWS: SessionColumn = {
  ...{ title: 'ROWS', minWidth: 7, isNumber: true },
  cell: ({ transaction }) => known(transaction, ({ rowsModified }) => formatCount(rowsModified)),
};
const STATE: SessionColumn = {
  ...{ title: 'STATE', minWidth: 14, hardMinWidth: 3, maxWidth: 32 },
  cell: ({ state }) => state,
};
/** In place of STATE and COMMAND: a session without a state has at least its command. */
const STATE_OR_COMMAND: SessionColumn = {
  ...STATE,
  cell: ({ state, command }) => state || (command === 'Query' ? '' : command),
};
const STATEMENT: SessionColumn = {
  ...{ title: 'STATEMENT', minWidth: 20, hardMinWidth: 6 },
  cell: ({ info }) => info,
};
const TRX_STATE: SessionColumn = {
  ...{ title: 'TRX STATE', minWidth: 9 },
  cell: ({ transaction }) => known(transaction, ({ state }) => state),
};
const LOCKED: SessionColumn = {
  ...{ title: 'LOCKED', minWidth: 7, isNumber: true },
  cell: ({ transaction }) => known(transaction, ({ rowsLocked }) => formatCount(rowsLocked)),
};

/**
 * Formats sessions as a table that fits the screen, with a column for the node if `isNodeShown`, and with the transactions if any is known.
 * On a narrow screen, the ports go first, then COMMAND.
 */
export function sessionTable(
  sessions: readonly ListedSession[],
  screen: Screen,
  isNodeShown: boolean,
): string {
  const node = isNodeShown ? [NODE] : [];
  const hasTransactions = sessions.some(({ transaction }) => transaction !== undefined);
  const transaction = hasTransactions ? [TRX, ROWS] : [];
  const layouts = [
    [...node, ID, USER, HOST, DB, COMMAND, TIME, ...transaction, STATE, STATEMENT],
    [...node, ID, USER, HOST_ONLY, DB, COMMAND, TIME, ...transaction, STATE, STATEMENT],
    [...node, ID, USER, HOST_ONLY, DB, TIME, ...transaction, STATE_OR_COMMAND, STATEMENT],
  ] as const;
  const width = screen.columns();
  const fitting = layouts.find(
    (columns) => width === undefined || roomFor(columns, sessions) <= width,
  );
  return render(fitting ?? layouts[2], sessions, width, screen);
}

/** Formats sessions with all columns, as wide as they are. */
export function wideTable(sessions: readonly ListedSession[], screen: Screen): string {
  const transaction = [TRX, TRX_STATE, LOCKED, ROWS];
  const columns = [NODE, ID, USER, HOST, DB, COMMAND, TIME, ...transaction, STATE, STATEMENT];
  return render(columns, sessions, undefined, screen);
}

/** Returns the name of a session in a sentence, such as `12 app@10.0.0.4:51234`. */
export function sessionName({
  id,
  user,
  host,
}: Pick<ListedSession, 'id' | 'user' | 'host'>): string {
  return `${id} ${user}@${host}`;
}

function render(
  columns: readonly SessionColumn[],
  sessions: readonly ListedSession[],
  width: number | undefined,
  { colors }: Screen,
): string {
  const rows = sessions.map((session) => columns.map(({ cell }) => cell(session)));
  return renderTable(columns, rows, width, colors.bold);
}

/** Returns the width of a table that cuts only statements, to 30 columns. */
function roomFor(columns: readonly SessionColumn[], sessions: readonly ListedSession[]): number {
  return columns.reduce((sum, { title, cell, maxWidth = 30 }) => {
    const widths = sessions.map((session) => stringWidth(visible(cell(session))));
    return sum + Math.min(maxWidth, Math.max(title.length, ...widths)) + 2;
  }, -2);
}

function known<T>(value: T | null | undefined, format: (value: T) => string): string {
  if (value === null) return '';
  return value === undefined ? '?' : format(value);
}
