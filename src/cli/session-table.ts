import { formatDuration } from './durations.ts';
import type { ListedSession } from './listing.ts';
import type { Screen } from './cli-context.ts';
import { renderTable, type Column } from './table.ts';

const COLUMNS: readonly Column[] = [
  { title: 'ID', minWidth: 20, isNumber: true },
  { title: 'USER', minWidth: 10, hardMinWidth: 5, maxWidth: 32 },
  { title: 'HOST', minWidth: 12, hardMinWidth: 8, maxWidth: 40 },
  { title: 'DB', minWidth: 4, hardMinWidth: 3, maxWidth: 32 },
  { title: 'COMMAND', minWidth: 7, maxWidth: 16 },
  { title: 'TIME', minWidth: 7, isNumber: true },
  { title: 'STATE', minWidth: 8, hardMinWidth: 3, maxWidth: 32 },
  { title: 'STATEMENT', minWidth: 30, hardMinWidth: 6 },
];
const NODE_COLUMN: Column = { title: 'NODE', minWidth: 9, hardMinWidth: 4, maxWidth: 36 };

/** Formats sessions as a table that fits the screen, with a column for the node if `isNodeShown`. */
export function sessionTable(
  sessions: readonly ListedSession[],
  screen: Screen,
  isNodeShown: boolean,
): string {
  const rows = sessions.map(({ node, id, user, host, db, command, time, state, info }) => [
    ...(isNodeShown ? [node] : []),
    ...[id.toString(), user, host, db, command, formatDuration(time), state, info],
  ]);
  return renderTable(
    isNodeShown ? [NODE_COLUMN, ...COLUMNS] : COLUMNS,
    rows,
    screen.columns(),
    screen.colors.bold,
  );
}

/** Returns the name of a session in a sentence, such as `12 app@10.0.0.4:51234`. */
export function sessionName({
  id,
  user,
  host,
}: Pick<ListedSession, 'id' | 'user' | 'host'>): string {
  return `${id} ${user}@${host}`;
}
