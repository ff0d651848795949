import { formatDuration, type Session } from '../client/index.ts';
import type { Progress, Result } from './ending.ts';
import { messageOf } from './failure.tsx';
import { line } from './format.ts';
import { useWords, type Words } from './words.ts';

const GOOD: ReadonlySet<string> = new Set(['gone', 'stopped', 'killed', 'rolling_back']);

/** The outcome of each session, as the service reported it. */
export function Outcomes({
  sessions,
  progress: { phase, results, trouble, error, requestIds },
  onAskAgain,
}: {
  readonly sessions: readonly Session[];
  readonly progress: Progress;
  readonly onAskAgain: () => void;
}) {
  const words = useWords();
  return (
    <section aria-label={words.end.done}>
      {phase === 'unanswered' && (
        <div role="alert" className="warning">
          <p>{words.end.unanswered}</p>
          {error !== undefined && <p>{messageOf(error, words.error.unreachable)}</p>}
          <button type="button" onClick={onAskAgain}>
            {words.end.askAgain}
          </button>
        </div>
      )}
      {trouble !== undefined && (
        <p role="alert" className="error">
          {trouble}
        </p>
      )}
      <p role="status">{countsOf(sessions, results, words)}</p>
      <div className="frame short" tabIndex={0} role="region" aria-label={words.end.done}>
        <table aria-label={words.end.done}>
          <tbody>
            {sessions.map(({ id, user, host }) => {
              const result = results.get(id) ?? { outcome: 'unknown' };
              return (
                <tr key={id.toString()}>
                  <td>{id.toString()}</td>
                  <td>{line(user)}</td>
                  <td>{line(host)}</td>
                  <td className={GOOD.has(result.outcome) ? 'good' : 'bad'}>
                    {textOf(result, words)}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {requestIds.length > 0 && (
        <p className="hint">
          {words.end.requestIds}: {requestIds.join(' ')}
        </p>
      )}
    </section>
  );
}

function countsOf(
  sessions: readonly Session[],
  results: ReadonlyMap<bigint, Result>,
  words: Words,
): string {
  const counts = new Map<string, number>();
  for (const { id } of sessions) {
    const name = nameOf(results.get(id)?.outcome ?? 'unknown', words);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).join('; ');
}

function textOf({ outcome, rowsLeft, secondsLeft, transactionOpen }: Result, words: Words): string {
  return [
    nameOf(outcome, words),
    ...(rowsLeft === undefined ? [] : [words.end.rowsLeft(rowsLeft)]),
    ...(secondsLeft === undefined ? [] : [words.end.secondsLeft(formatDuration(secondsLeft))]),
    ...(transactionOpen ? [words.end.openTransaction] : []),
  ].join(', ');
}

function nameOf(outcome: Result['outcome'], words: Words): string {
  return outcome === 'changed' ? words.end.changed : words.outcomes[outcome];
}
