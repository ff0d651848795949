import { formatDuration } from './durations.ts';
import type { ListedSession } from './listing.ts';
import type { Screen } from './cli-context.ts';
import { renderTable, type Column } from './table.ts';

const COLUMNS: readonly Column[] = [
  { title: 'ID', least: 20, isNumber: true },
  { title: 'USER', least: 10, atWorst: 5, most: 32 },
  { title: 'HOST', least: 12, atWorst: 8, most: 40 },
  { title: 'DB', least: 4, atWorst: 3, most: 32 },
  { title: 'COMMAND', least: 7, most: 16 },
  { title: 'TIME', least: 7, isNumber: true },
  { title: 'STATE', least: 8, atWorst: 3, most: 32 },
  { title: 'STATEMENT', least: 30, atWorst: 6 },
];
const NODE_COLUMN: Column = { title: 'NODE', least: 9, atWorst: 4, most: 36 };

/** Sessions as a table that fits the screen; with the node when there are several. */
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

/** A session in a sentence. */
export function sessionName({
  id,
  user,
  host,
}: Pick<ListedSession, 'id' | 'user' | 'host'>): string {
  return `${id} ${user}@${host}`;
}
