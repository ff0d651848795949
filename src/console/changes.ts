import { useRef } from 'react';
import type { Session } from '../client/index.ts';
import { keyOf } from './selection.tsx';

/** What a refresh changed: the session is new, or what it does is. */
export type Change = 'new' | 'changed';

/** Returns what the newest list has changed, by the keys of the sessions. The first list has changed nothing. */
export function useChanges(
  sessions: readonly Session[],
  readAt: number,
): ReadonlyMap<string, Change> {
  const seen = useRef<{ at: number; list: readonly Session[]; changes: Map<string, Change> }>(
    undefined,
  );
  if (seen.current === undefined) {
    seen.current = { at: readAt, list: sessions, changes: new Map() };
  } else if (seen.current.at !== readAt) {
    seen.current = { at: readAt, list: sessions, changes: changesOf(seen.current.list, sessions) };
  }
  return seen.current.changes;
}

function changesOf(before: readonly Session[], now: readonly Session[]): Map<string, Change> {
  const known = new Map(before.map((session) => [keyOf(session), session]));
  return new Map(
    now.flatMap((session): [string, Change][] => {
      const old = known.get(keyOf(session));
      if (old === undefined) return [[keyOf(session), 'new']];
      const isSame = (['user', 'db', 'command', 'state', 'info'] as const).every(
        (name) => old[name] === session[name],
      );
      return isSame ? [] : [[keyOf(session), 'changed']];
    }),
  );
}
