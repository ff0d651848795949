import { formatCount, formatDuration } from './durations.ts';
import { usageError } from './failures.ts';
import type { ListedSession } from './listing.ts';
import type { Screen } from './cli-context.ts';
import { renderTable } from './table.ts';

export const GROUP_KEYS = ['user', 'host', 'db', 'command', 'state'] as const;
export type GroupKey = (typeof GROUP_KEYS)[number];

/** Sessions that share a user, host, database, command or state. */
export interface Group {
  readonly name: string;
  readonly sessions: number;
  /** The sessions that are not idle. */
  readonly running: number;
  /** The sessions with an open transaction; undefined if the node does not show transactions. */
  readonly inTransaction: number | undefined;
  readonly rowsModified: bigint | undefined;
  /** The longest time in a state, in seconds. */
  readonly longest: number;
}

/** Checks the name of a key. Throws a usage error if it is not one. */
export function readGroupKey(text: string): GroupKey {
  const key = GROUP_KEYS.find((known) => known === text);
  if (key !== undefined) return key;
  throw usageError(`--group-by ${text} is not known.`, `Use one of ${GROUP_KEYS.join(', ')}.`);
}

/** Groups sessions, the largest group first. Hosts are compared without their ports. */
export function groupsOf(sessions: readonly ListedSession[], key: GroupKey): Group[] {
  const members = new Map<string, ListedSession[]>();
  for (const session of sessions) {
    const name = key === 'host' ? session.host.replace(/:\d+$/, '') : session[key];
    const others = members.get(name);
    if (others === undefined) members.set(name, [session]);
    else others.push(session);
  }
  return [...members]
    .map(([name, some]): Group => {
      const known = some.filter(({ transaction }) => transaction !== undefined);
      const open = known.flatMap(({ transaction }) => transaction ?? []);
      return {
        name,
        sessions: some.length,
        running: some.filter(({ command }) => command !== 'Sleep').length,
        inTransaction: known.length > 0 ? open.length : undefined,
        rowsModified:
          known.length > 0
            ? open.reduce((sum, { rowsModified }) => sum + rowsModified, 0n)
            : undefined,
        longest: some.reduce((most, { time }) => Math.max(most, time), 0),
      };
    })
    .sort((one, other) => other.sessions - one.sessions || (one.name < other.name ? -1 : 1));
}

/** Formats groups as a table that fits the screen. */
export function groupTable(groups: readonly Group[], key: GroupKey, screen: Screen): string {
  const number = (title: string) => ({ title, minWidth: title.length, isNumber: true });
  const columns = [
    { title: key.toUpperCase(), minWidth: 8, maxWidth: 40 },
    ...['SESSIONS', 'RUNNING', 'IN TRX', 'ROWS', 'LONGEST'].map(number),
  ];
  const rows = groups.map(({ name, sessions, running, inTransaction, rowsModified, longest }) => [
    ...[name || 'none', sessions.toString(), running.toString()],
    ...[
      inTransaction?.toString() ?? '?',
      rowsModified === undefined ? '?' : formatCount(rowsModified),
    ],
    formatDuration(longest),
  ]);
  return renderTable(columns, rows, screen.columns(), screen.colors.bold);
}

/** Returns a group in the order of the output. */
export function groupRecord(group: Group, key: GroupKey): object {
  return {
    [key]: group.name,
    sessions: group.sessions,
    running: group.running,
    in_transaction: group.inTransaction ?? null,
    rows_modified: group.rowsModified ?? null,
    max_time: group.longest,
  };
}
