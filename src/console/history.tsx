import { useQuery } from '@tanstack/react-query';
import type { KilledSession, NodeAddress, Outcome } from '../client/index.ts';
import { useApi } from './api.ts';
import { Failure } from './failure.tsx';
import { dayAndClock, line } from './format.ts';
import { useWords, type Words } from './words.ts';

/** People seldom read more kills of a day, and sessionctl shows all of them. */
const MOST_SHOWN = 150;

/** The kills of the last 24 hours on a node, with their callers and reasons. */
export function HistoryView({ node }: { readonly node: NodeAddress }) {
  const words = useWords();
  const { client, generation } = useApi();
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ['history', generation, node.instanceId, node.nodeId],
    queryFn: ({ signal }) => client.history(node, { nodeId: node.nodeId, signal }),
    staleTime: 0,
  });
  const { kills = [], isComplete = true, isReplicaOnly = false } = data ?? {};
  return (
    <section aria-label={words.history.caption}>
      <div className="bar">
        <button type="button" onClick={() => void refetch()} aria-disabled={isFetching}>
          {words.refresh}
        </button>
        {data && <span className="hint">{words.history.caption}</span>}
      </div>
      {error && <Failure error={error} />}
      {isFetching && !data && <p role="status">{words.loading}</p>}
      {data && kills.length === 0 && <p>{words.history.none}</p>}
      {kills.length > 0 && <Kills kills={kills.slice(0, MOST_SHOWN)} words={words} />}
      {(!isComplete || kills.length > MOST_SHOWN) && (
        <p className="hint">{words.history.incomplete}</p>
      )}
      {isReplicaOnly && <p className="hint">{words.history.replica}</p>}
    </section>
  );
}

function Kills({
  kills,
  words: { history, sessions, outcomes },
}: {
  readonly kills: readonly KilledSession[];
  readonly words: Words;
}) {
  const heads = [
    ...[history.when, history.session, sessions.user, sessions.host],
    ...[history.outcome, history.caller, history.reason],
  ];
  return (
    <div className="frame" tabIndex={0} role="region" aria-label={history.caption}>
      <table aria-label={history.caption}>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {kills.map((kill) => {
            const { id, requestId, killTime, user, host, outcome, scope, caller, taskId } = kill;
            const what = history.outcomes[outcome] ?? outcomes[outcome as Outcome];
            return (
              <tr key={`${requestId} ${id}`}>
                <td>{dayAndClock(killTime)}</td>
                <td>{id.toString()}</td>
                <td>{line(user)}</td>
                <td>{line(host)}</td>
                <td>{scope === 'statement' ? `${what} (${history.statement})` : what}</td>
                <td>
                  {line(caller)} {taskId !== undefined && history.task}
                </td>
                <td>{line(kill.reason ?? '')}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
