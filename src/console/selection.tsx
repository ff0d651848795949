import { useMemo, useState } from 'react';
import type { Session } from '../client/index.ts';
import { useWords } from './words.ts';

/** The chosen sessions. They stay chosen when the list is read again, and when the filter hides them. */
export interface Selection {
  readonly keys: ReadonlySet<string>;
  /** The chosen sessions that the newest list has. */
  readonly sessions: readonly Session[];
  /** The number of chosen sessions that have left the node. */
  readonly left: number;
  readonly set: (keys: readonly string[], isChosen: boolean) => void;
  readonly clear: () => void;
}

/** Returns a key of a session: another session that took over its id has another key. */
export function keyOf({ id, host }: Pick<Session, 'id' | 'host'>): string {
  return `${id} ${host}`;
}

/** Holds the selection over a list that changes. */
export function useSelection(all: readonly Session[]): Selection {
  const [keys, setKeys] = useState<ReadonlySet<string>>(new Set());
  const sessions = useMemo(() => all.filter((session) => keys.has(keyOf(session))), [all, keys]);
  return {
    keys,
    sessions,
    left: keys.size - sessions.length,
    set: (some, isChosen) => {
      setKeys((before) => {
        const after = new Set(before);
        for (const key of some) {
          if (isChosen) after.add(key);
          else after.delete(key);
        }
        return after;
      });
    },
    clear: () => {
      setKeys(new Set());
    },
  };
}

/** The actions on the selection. */
export function SelectionBar({
  selection: { sessions, left, keys, clear },
  shown,
  onEnd,
}: {
  readonly selection: Selection;
  readonly shown: readonly Session[];
  readonly onEnd: (() => void) | undefined;
}) {
  const words = useWords();
  const hidden = sessions.length - shown.filter((session) => keys.has(keyOf(session))).length;
  if (keys.size === 0) return <div className="bar selection" />;
  return (
    <div className="bar selection">
      <span role="status">
        {words.sessions.selected(sessions.length)}
        {hidden > 0 && ` (${words.sessions.hidden(hidden)})`}
      </span>
      {onEnd && sessions.length > 0 && (
        <button type="button" className="danger" onClick={onEnd}>
          {words.end.some(sessions.length)}
        </button>
      )}
      <button type="button" onClick={clear}>
        {words.sessions.clear}
      </button>
      {left > 0 && <span className="hint">{words.sessions.left(left)}</span>}
    </div>
  );
}
