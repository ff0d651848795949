import { formatDuration, type Wait } from '../client/index.ts';
import { line } from './format.ts';
import { useWords } from './words.ts';

const MOST_SHOWN = 150;

/** The sessions that wait, each with the blocker and the lock. */
export function WaitsTable({
  waits,
  onShow,
}: {
  readonly waits: readonly Wait[];
  readonly onShow: (id: bigint) => void;
}) {
  const words = useWords();
  const { blockers, sessions } = words;
  return (
    <div className="frame short" tabIndex={0} role="region" aria-label={blockers.waiters}>
      <table aria-label={blockers.waiters}>
        <thead>
          <tr>
            <th scope="col">{blockers.waiters}</th>
            <th scope="col">{words.details.waitsFor}</th>
            <th scope="col">{sessions.time}</th>
            <th scope="col">{blockers.lock}</th>
          </tr>
        </thead>
        <tbody>
          {waits.slice(0, MOST_SHOWN).map((wait) => (
            <tr key={`${wait.id} ${wait.waitsFor} ${wait.kind} ${wait.table} ${wait.name}`}>
              <td>
                <button
                  type="button"
                  className="link"
                  aria-label={sessions.details(wait.id)}
                  onClick={() => {
                    onShow(wait.id);
                  }}
                >
                  {wait.id.toString()}
                </button>
              </td>
              <td>{wait.waitsFor?.toString() ?? blockers.internal}</td>
              <td>{wait.seconds === undefined ? '' : formatDuration(wait.seconds)}</td>
              <td>{lockOf(wait, blockers.kinds)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {waits.length > MOST_SHOWN && (
        <p className="hint">{words.end.more(waits.length - MOST_SHOWN)}</p>
      )}
    </div>
  );
}

/** Returns a lock in one line. */
export function lockOf(wait: Wait, kinds: Readonly<Record<string, string>>): string {
  const { kind, db, table, index, mode, data, name } = wait;
  const place = [db, table].filter((part) => part).join('.');
  const parts = [kinds[kind] ?? kind, place, index, mode, data, name];
  return line(parts.filter((part) => part).join(' · '));
}
