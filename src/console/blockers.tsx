import { useQuery } from '@tanstack/react-query';
import { formatDuration, type Blocker, type NodeAddress, type Session } from '../client/index.ts';
import { useApi } from './api.ts';
import type { Ended } from './ending.ts';
import { Failure } from './failure.tsx';
import { clock, line } from './format.ts';
import { WaitsTable } from './waits.tsx';
import { useWords } from './words.ts';

/** The sessions that block others. Reads the lock tables when the user opens this view, presses Refresh or has ended a session, never in the background. */
export function BlockersView({
  node,
  onEnd,
  onShow,
}: {
  readonly node: NodeAddress;
  readonly onEnd: ((ended: Ended) => void) | undefined;
  readonly onShow: (id: bigint) => void;
}) {
  const words = useWords();
  const { client, generation } = useApi();
  const { data, error, dataUpdatedAt, isFetching, refetch } = useQuery({
    queryKey: ['blockers', generation, node.instanceId, node.nodeId],
    queryFn: ({ signal }) => client.blockers(node, signal),
    staleTime: 0,
  });
  const roots = data?.blockers.filter(({ isRoot }) => isRoot) ?? [];
  const others = data?.blockers.filter(({ isRoot }) => !isRoot) ?? [];
  return (
    <section aria-label={words.blockers.label}>
      <div className="bar">
        <button type="button" onClick={() => void refetch()} aria-disabled={isFetching}>
          {words.refresh}
        </button>
        {data && <span className="hint">{words.blockers.asked(clock(dataUpdatedAt))}</span>}
      </div>
      {error && <Failure error={error} onRetry={() => void refetch()} />}
      {isFetching && !data && <p role="status">{words.loading}</p>}
      {data && (
        <>
          {(['row', 'metadata'] as const).map(
            (kind) =>
              data.sources[kind] !== 'available' && (
                <p key={kind} className="warning">
                  {words.blockers.source[kind]}: {data.sources[kind]}
                </p>
              ),
          )}
          {roots.length === 0 && <p role="status">{words.blockers.none}</p>}
          <ul className="cards">
            {roots.map((blocker, index) => (
              <Card key={keyOf(blocker, index)} blocker={blocker} onEnd={onEnd} onShow={onShow} />
            ))}
          </ul>
          {others.length > 0 && (
            <>
              <h3>{words.blockers.others}</h3>
              <ul className="cards">
                {others.map((blocker, index) => (
                  <Card
                    key={keyOf(blocker, index)}
                    blocker={blocker}
                    onEnd={onEnd}
                    onShow={onShow}
                  />
                ))}
              </ul>
            </>
          )}
          {data.waits.length > 0 && <WaitsTable waits={data.waits} onShow={onShow} />}
          {data.isTruncated && <p className="hint">{words.blockers.truncated}</p>}
        </>
      )}
    </section>
  );
}

function Card({
  blocker: { id, session, transaction, waiters, isPrepared, canBeKilled },
  onEnd,
  onShow,
}: {
  readonly blocker: Blocker;
  readonly onEnd: ((ended: Ended) => void) | undefined;
  readonly onShow: (id: bigint) => void;
}) {
  const words = useWords();
  const name = id === undefined ? words.blockers.internal : words.blockers.session(id);
  const facts = [
    ...(session ? [activityOf(session, words.blockers)] : []),
    ...(transaction
      ? [
          words.blockers.transaction(formatDuration(transaction.seconds)),
          words.blockers.rows(transaction.rowsModified),
        ]
      : []),
  ];
  return (
    <li className="card">
      <h3>{isPrepared ? words.blockers.prepared : name}</h3>
      <p className="waiting">{words.blockers.waiting(waiters)}</p>
      {session && (
        <p>
          {line(session.user)} · {line(session.host)} {session.db !== '' && `· ${line(session.db)}`}
        </p>
      )}
      <p>{facts.join(' · ')}</p>
      {session && session.info !== '' && <code>{line(session.info)}</code>}
      {id !== undefined && (
        <div className="bar">
          {onEnd && session && canBeKilled && (
            <button
              type="button"
              className="danger"
              onClick={() => {
                onEnd({ sessions: [{ ...session, transaction }], filter: () => true });
              }}
            >
              {words.end.one(id)}
            </button>
          )}
          <button
            type="button"
            onClick={() => {
              onShow(id);
            }}
          >
            {words.sessions.details(id)}
          </button>
        </div>
      )}
      {!canBeKilled && id !== undefined && <p className="hint">{words.blockers.cannot}</p>}
    </li>
  );
}

function activityOf(
  { command, time }: Session,
  words: ReturnType<typeof useWords>['blockers'],
): string {
  return (/^sleep$/i.test(command) ? words.idle : words.runs)(formatDuration(time));
}

function keyOf({ id }: Blocker, index: number): string {
  return id?.toString() ?? `internal ${index}`;
}
