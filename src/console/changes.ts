import { useRef } from 'react';
import type { Session } from '../client/index.ts';
import { keyOf } from './selection.tsx';

/** The change of a session in a refresh: the session is new, or it does something else. */
export type Change = 'new' | 'changed';

/** Returns the changes in the newest list, by the keys of the sessions; none for the first list. */
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
