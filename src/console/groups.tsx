import { useState } from 'react';
import { formatDuration, type SessionGroup, type SessionSummary } from '../client/index.ts';
import { exactly, NO_FILTER, type FilterTexts } from './filter.ts';
import { line } from './format.ts';
import { useWords } from './words.ts';

/** Counts of sessions by user, host and command. A click filters the table. A narrow screen shows them on request. */
export function Groups({
  summary: { groups, other },
  onFilter,
}: {
  readonly summary: SessionSummary;
  readonly onFilter: (texts: FilterTexts) => void;
}) {
  const words = useWords();
  // On a narrow screen the table comes first, as in style.css. A later turn of the screen moves nothing.
  const [isWide] = useState(() => matchMedia('(min-width: 721px)').matches);
  if (groups.length === 0) return null;
  return (
    <details className="groups" open={isWide}>
      <summary>{words.groups.title}</summary>
      <ul>
        {withoutDatabases(groups).map(({ user, host, command, count, maxTime }) => (
          <li key={JSON.stringify([user, host, command])}>
            <button
              type="button"
              title={words.groups.show(line(user), line(host), line(command), count)}
              onClick={() => {
                onFilter({
                  ...NO_FILTER,
                  user: exactly(user),
                  host: exactly(host),
                  command: exactly(command),
                });
              }}
            >
              <b>{count.toLocaleString()}</b> {line(user)} · {line(host)} · {line(command)}{' '}
              <small>{formatDuration(maxTime)}</small>
            </button>
          </li>
        ))}
        {other > 0 && <li className="hint">{words.groups.other(other)}</li>}
      </ul>
    </details>
  );
}

function withoutDatabases(groups: readonly SessionGroup[]): readonly SessionGroup[] {
  const joined = new Map<string, SessionGroup>();
  for (const group of groups) {
    const key = JSON.stringify([group.user, group.host, group.command]);
    const known = joined.get(key);
    joined.set(key, {
      ...group,
      count: group.count + (known?.count ?? 0),
      maxTime: Math.max(group.maxTime, known?.maxTime ?? 0),
    });
  }
  return [...joined.values()].sort((one, other) => other.count - one.count);
}
