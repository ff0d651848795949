import type { Blocker, Blockers, Session, Transaction, Wait } from '../client/index.ts';
import { formatCount, formatDuration } from './durations.ts';
import { lockTrees, type Waiter } from './lock-tree.ts';
import { visible } from './visible.ts';

/** A level of the tree shows at most this number of waiters. */
const MAX_SHOWN = 10;

/**
 * Formats the blockers as a tree: a line for each root blocker, and its waiters below it. Users and statements of waiters come from the list.
 * The counts are those of the node, even if the tree leaves waiters out.
 */
export function lockLines(report: Blockers, listed: readonly Session[]): string[] {
  const sessions = new Map(listed.map((session) => [session.id, session]));
  const counts = new Map(report.blockers.map((blocker) => [blocker.id, blocker]));
  const below = (waiters: readonly Waiter[], direct: number, indent: string): string[] => {
    const shown = waiters.slice(0, MAX_SHOWN);
    const hidden = Math.max(direct, waiters.length) - shown.length;
    const lines = shown.flatMap((waiter, index): string[] => {
      const isLast = index === shown.length - 1 && hidden === 0;
      const { id } = waiter.wait;
      const own = counts.get(id);
      const line = `${indent}${isLast ? '└─' : '├─'} ${waiterText(waiter, own, sessions.get(id))}`;
      const next = `${indent}${isLast ? '   ' : '│  '}`;
      return [
        line,
        ...below(waiter.waiters, waiter.isRepeated ? 0 : (own?.directWaiters ?? 0), next),
      ];
    });
    return hidden > 0 ? [...lines, `${indent}└─ and ${hidden} more`] : lines;
  };
  return lockTrees(report).flatMap(({ root, waiters }) => [
    rootText(root),
    ...below(waiters, root.directWaiters, ''),
  ]);
}

/** Formats a root blocker: its name, the number of its waiters, its transaction and its activity. */
function rootText(root: Blocker): string {
  const waiting = `${root.waiters} ${root.waiters === 1 ? 'waits' : 'wait'}`;
  if (root.isPrepared) {
    return `A prepared transaction, which no KILL ends (see XA RECOVER): ${waiting}`;
  }
  if (root.id === undefined) return `An internal thread, which no KILL ends: ${waiting}`;
  const { session, transaction } = root;
  const name = session === undefined ? root.id.toString() : shortName(session);
  const parts = [
    waiting,
    ...(root.canBeKilled ? [] : ['protected from KILL']),
    ...(transaction === undefined
      ? []
      : [
          rowsChanged(transaction),
          `transaction ${formatDuration(transaction.seconds)}${special(transaction)}`,
        ]),
    activity(session),
  ];
  return visible(`${name}: ${parts.join(', ')}`);
}

function shortName({ id, user, host }: Session): string {
  return `${id} ${user}@${host.replace(/:\d+$/, '')}`;
}

/** Formats a transaction: its age, and the rows that it has changed. */
export function transactionText(transaction: Transaction): string {
  return `${rowsChanged(transaction)} in a transaction of ${formatDuration(transaction.seconds)}${special(transaction)}`;
}

function rowsChanged({ rowsModified }: Transaction): string {
  return `${formatCount(rowsModified)} ${rowsModified === 1n ? 'row' : 'rows'} changed`;
}

function special({ state }: Transaction): string {
  return state === 'RUNNING' ? '' : ` (${state.toLowerCase()})`;
}

function activity(session: Session | undefined): string {
  if (session === undefined) return 'no longer in the process list';
  const { command, time, state, info } = session;
  if (command === 'Sleep') return `idle ${formatDuration(time)}`;
  return `runs ${formatDuration(time)}: ${info || state || command}`;
}

function waiterText(
  { wait, isRepeated }: Waiter,
  own: Blocker | undefined,
  session: Session | undefined,
): string {
  const name = session === undefined ? wait.id.toString() : `${wait.id} ${session.user}`;
  const also = own === undefined ? '' : `, ${own.waiters} behind it`;
  const repeated = isRepeated ? ', also shown above' : '';
  const statement = session?.info ? `: ${session.info}` : '';
  // The tree is narrow: `show` and the JSON have the index and the mode.
  const db = wait.db === session?.db ? undefined : wait.db;
  const short = waitText({ ...wait, db, index: undefined, mode: undefined });
  return visible(`${name} ${short}${also}${repeated}${statement}`);
}

/** Formats the lock that a session waits for, and the time of the wait. */
export function waitText({ kind, seconds, db, table, index, mode, name }: Wait): string {
  const since = seconds === undefined ? 'waits' : `waits ${formatDuration(seconds)}`;
  const place = [db, table].filter((part) => part !== undefined && part !== '').join('.');
  const where = place === '' ? '' : ` of ${place}`;
  const how = [index, mode].filter((part) => part !== undefined && part !== '').join(' ');
  const lock =
    kind === 'row'
      ? `a row${where}`
      : kind === 'metadata'
        ? `the metadata lock${where}`
        : `the lock ${name ?? ''} of GET_LOCK`;
  return `${since} for ${lock}${how === '' ? '' : ` (${how})`}`;
}
