import type { Transaction } from '../client/index.ts';
import { formatCount, formatDuration, plural } from './durations.ts';
import { nodeLabel, type ListedSession, type NamedNode } from './listing.ts';
import { visible } from './visible.ts';

/** The rollbacks that the end of sessions causes. */
export interface KillCost {
  /** The transactions that are open. */
  readonly transactions: readonly Transaction[];
  /** The changes to undo; undefined if the transaction of no session is known. */
  readonly rows: bigint | undefined;
  /** Why the cost of some sessions is not known. */
  readonly unknown: readonly string[];
}

/** Returns the rollbacks that the end of these sessions causes. A transaction that already rolls back does not count. */
export function costOf(sessions: readonly ListedSession[], unknown: readonly string[]): KillCost {
  const known = sessions.filter(({ transaction }) => transaction !== undefined);
  const transactions = known.flatMap(({ transaction }) => transaction ?? []);
  const rows = transactions
    .filter(({ state }) => state !== 'ROLLING BACK')
    .reduce((sum, { rowsModified }) => sum + rowsModified, 0n);
  return { transactions, rows: known.length > 0 ? rows : undefined, unknown };
}

/** Formats the lines below the first sessions: their number, their users and hosts, and the rows to undo. */
export function summaryOf(
  sessions: readonly ListedSession[],
  shown: number,
  { transactions, rows, unknown }: KillCost,
  scope: 'session' | 'statement',
): string[] {
  const oldest = transactions.reduce((most, { seconds }) => Math.max(most, seconds), 0);
  const open =
    transactions.length === 0
      ? 'Open transactions: none.'
      : `Open transactions: ${transactions.length}, the oldest for ${formatDuration(oldest)}.`;
  const undo = scope === 'session' ? 'Rows to undo' : 'Rows to undo at most';
  const isPartial = unknown.length > 0;
  const cost =
    rows === undefined
      ? 'Rows to undo: not known.'
      : `${open} ${undo}: ${formatCount(rows)}${isPartial ? ', and an unknown number' : ''}.`;
  return [
    ...(sessions.length > shown ? [`and ${sessions.length - shown} more`] : []),
    ...(sessions.length > 1
      ? [
          `By user: ${counted(sessions.map(({ user }) => user))}. By host: ${counted(sessions.map(({ host }) => host.replace(/:\d+$/, '')))}.`,
        ]
      : []),
    cost,
    ...unknown.map((reason) => `Transactions are not shown by ${reason}`),
  ].map(visible);
}

/** Returns the question. It names the nodes that have sessions to end, with their counts if there are several. */
export function question(
  sessions: readonly ListedSession[],
  nodes: readonly NamedNode[],
  scope: 'session' | 'statement',
): string {
  const concerned = nodes.flatMap(({ nodeId, name }) => {
    const count = sessions.filter(({ node }) => node === nodeId).length;
    return count === 0 ? [] : [{ label: nodeLabel({ node: nodeId, nodeName: name }), count }];
  });
  const [only, ...others] = concerned;
  const where =
    others.length === 0
      ? `node ${only?.label ?? ''}`
      : `${concerned.length} nodes (${concerned.map(({ label, count }) => `${label}: ${count}`).join(', ')})`;
  const one = sessions.length === 1;
  return scope === 'session'
    ? `End ${one ? 'this session' : `these ${sessions.length} sessions`} on ${where}?`
    : `End the ${one ? 'statement of this session' : `statements of these ${sessions.length} sessions`} on ${where}? The sessions stay.`;
}

/** Formats how often each name occurs, the most frequent first, at most five of them. */
function counted(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const sorted = [...counts].sort(([, one], [, other]) => other - one);
  const rest = sorted.slice(5).reduce((sum, [, count]) => sum + count, 0);
  const shown = sorted.slice(0, 5).map(([name, count]) => `${name || 'none'} ${count}`);
  return [...shown, ...(rest > 0 ? [plural(rest, 'other')] : [])].join(', ');
}
