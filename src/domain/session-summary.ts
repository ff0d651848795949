import type { Deadline } from './deadline.ts';
import { isLockWaitState, type TransactionReading } from './locks.ts';
import type { NodeKey } from './node.ts';
import type { SessionService } from './session-service.ts';
import { clientPort, sessionOf, type Session } from './session.ts';
import { readTransactions } from './transactions.ts';
import type { ListedRow } from './user-sessions.ts';

/** A summary shows at most this many groups. */
export const MAX_GROUPS = 50;
const LONGEST = 5;

/** Sessions that share account, client, database and command. */
export interface SessionGroup {
  readonly user: string;
  /** The host of the client, without its port. */
  readonly host: string;
  readonly db: string;
  readonly command: string;
  readonly count: number;
  /** The longest time that one of these sessions has been in its present state, in whole seconds. */
  readonly maxTime: bigint;
}

/** The user sessions of a node in numbers. */
export interface SessionSummary {
  readonly total: number;
  /** The most frequent command first. */
  readonly byCommand: ReadonlyMap<string, number>;
  /** The largest groups, the largest first. */
  readonly groups: readonly SessionGroup[];
  /** The number of sessions in all other groups. */
  readonly other: number;
  /** The five sessions with the longest time: first the sessions that run something, then the idle ones. */
  readonly longest: readonly Session[];
  /**
   * The number of sessions that wait for a lock. This field and the next are undefined if the node does not show its transactions; `source`
   * has the reason.
   */
  readonly blocked: number | undefined;
  readonly transactions: { readonly open: number; readonly longestSeconds: bigint } | undefined;
  readonly source: TransactionReading['source'];
}

/** Returns the user sessions of a node in numbers. Never reads the lock tables. Throws as `SessionService.look` does. */
export async function readSummary(
  sessions: SessionService,
  key: NodeKey,
  deadline: Deadline,
): Promise<SessionSummary> {
  return sessions.look(key, deadline, async ({ connection, sessions: { ascending } }) =>
    summaryOf(ascending, await readTransactions(connection, deadline)),
  );
}

/** Returns these user sessions in numbers. */
export function summaryOf(
  rows: readonly ListedRow[],
  { bySession, source }: TransactionReading,
): SessionSummary {
  const sessions = rows.map(sessionOf);
  const groups = groupsOf(sessions);
  const shown = groups.slice(0, MAX_GROUPS);
  const open = sessions.flatMap(({ id }) => bySession.get(id) ?? []);
  const isShown = source === 'available';
  const isBlocked = ({ id, state }: Session): boolean =>
    bySession.get(id)?.waitSeconds !== undefined || isLockWaitState(state);
  return {
    total: sessions.length,
    byCommand: countsOf(sessions.map(({ command }) => command)),
    groups: shown,
    other: sessions.length - shown.reduce((sum, { count }) => sum + count, 0),
    longest: [...sessions].sort(compareDurations).slice(0, LONGEST),
    blocked: isShown ? sessions.filter(isBlocked).length : undefined,
    transactions: isShown
      ? { open: open.length, longestSeconds: highest(open.map(({ seconds }) => seconds)) }
      : undefined,
    source,
  };
}

function groupsOf(sessions: readonly Session[]): SessionGroup[] {
  const groups = new Map<string, SessionGroup>();
  for (const session of sessions) {
    const { user, db, command, time } = session;
    const host = addressOf(session.host);
    const name = JSON.stringify([user, host, db, command]);
    const { count = 0, maxTime = 0n } = groups.get(name) ?? {};
    const longer = time > maxTime ? time : maxTime;
    groups.set(name, { user, host, db, command, count: count + 1, maxTime: longer });
  }
  const byName = [...groups].sort(([one], [other]) => (one < other ? -1 : 1));
  return byName
    .map(([, group]) => group)
    .sort((one, other) => other.count - one.count || compareTimes(one.maxTime, other.maxTime));
}

/** Returns a host without its port; a host that shows no port unchanged. */
function addressOf(host: string): string {
  return clientPort(host) === undefined ? host : host.slice(0, host.lastIndexOf(':'));
}

function countsOf(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return new Map([...counts].sort(([, one], [, other]) => other - one));
}

/** An idle session can be old without harm, so it comes after all that run something. */
function compareDurations(one: Session, other: Session): number {
  const isIdle = Number(isIdleSession(one)) - Number(isIdleSession(other));
  return isIdle || compareTimes(one.time, other.time);
}

function isIdleSession({ command }: Session): boolean {
  return command.toLowerCase() === 'sleep';
}

/** Puts the longer time first. */
function compareTimes(one: bigint, other: bigint): number {
  if (one === other) return 0;
  return one > other ? -1 : 1;
}

function highest(times: readonly bigint[]): bigint {
  return times.reduce((most, time) => (time > most ? time : most), 0n);
}
