import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import type { NodeAddress, Session } from '../client/index.ts';
import { useApi } from './api.ts';
import type { Ended } from './ending.ts';
import { Failure } from './failure.tsx';
import { FilterBar } from './filter-bar.tsx';
import { longestFirst, NO_FILTER, readFilter, select } from './filter.ts';
import { clock } from './format.ts';
import { Groups } from './groups.tsx';
import { keyOf, SelectionBar, useSelection } from './selection.tsx';
import { SessionTable } from './session-table.tsx';
import { useSummary } from './summary.tsx';
import { useWords } from './words.ts';

/** A longer list is read only on request. */
export const MOST_WITHOUT_REQUEST = 1000;
const PAGE_SIZE = 100;
const NO_SESSIONS: readonly Session[] = [];

/** The sessions of a node: in groups, and in a table with a filter. */
export function SessionsView({
  node,
  isShown,
  onEnd,
  onShow,
}: {
  readonly node: NodeAddress;
  readonly isShown: boolean;
  /** Undefined if the caller may not end sessions. */
  readonly onEnd: ((ended: Ended) => void) | undefined;
  readonly onShow: (id: bigint) => void;
}) {
  const words = useWords();
  const summary = useSummary(node, 1).data;
  const [texts, setTexts] = useState(NO_FILTER);
  const [isRequested, setRequested] = useState(false);
  const [progress, setProgress] = useState<readonly [number, number]>([0, 0]);
  const total = summary?.total ?? 0;
  const isLong = total > MOST_WITHOUT_REQUEST;
  const isWanted = summary !== undefined && (!isLong || isRequested);
  const { data, error, dataUpdatedAt, isFetching, refetch } = useSessions(
    node,
    isShown && isWanted,
    isLong ? undefined : total,
    setProgress,
  );
  const filter = useMemo(() => readFilter(texts), [texts]);
  const all = data ?? NO_SESSIONS;
  const passing = useMemo(() => select(all, filter.passes)?.sort(longestFirst), [all, filter]);
  const rows = passing ?? NO_SESSIONS;
  const selection = useSelection(all);

  return (
    <>
      {summary && <Groups summary={summary} onFilter={setTexts} />}
      {isLong && !isRequested && (
        <p className="warning">
          {words.sessions.many(total)}{' '}
          <button
            type="button"
            onClick={() => {
              setRequested(true);
            }}
          >
            {words.sessions.load(total)}
          </button>
        </p>
      )}
      {error && <Failure error={error} onRetry={() => void refetch()} />}
      {isWanted && data === undefined && !error && (
        <p role="status" className="hint">
          {progress[1] > PAGE_SIZE ? words.sessions.reading(...progress) : words.loading}
        </p>
      )}
      {data && (
        <>
          <FilterBar
            texts={texts}
            filter={filter}
            isSlow={passing === undefined}
            onChange={setTexts}
          />
          <div className="bar">
            <span role="status">{words.sessions.shown(rows.length, all.length)}</span>
            <span className="hint">{words.sessions.readAt(clock(dataUpdatedAt))}</span>
            <button type="button" onClick={() => void refetch()} aria-disabled={isFetching}>
              {words.refresh}
            </button>
            {isFetching && isLong && (
              <span className="hint">{words.sessions.reading(...progress)}</span>
            )}
          </div>
          <SelectionBar
            selection={selection}
            shown={rows}
            onEnd={
              onEnd &&
              (() => {
                onEnd({ sessions: selection.sessions, filter: filter.passes });
              })
            }
          />
          {passing === undefined ? null : rows.length === 0 ? (
            <p>{all.length === 0 ? words.sessions.empty : words.sessions.none}</p>
          ) : (
            <SessionTable
              rows={rows}
              readAt={dataUpdatedAt}
              all={all}
              selected={selection.keys}
              onSelect={selection.set}
              onShow={onShow}
            />
          )}
        </>
      )}
    </>
  );
}

/** Reads the list while it is shown. With `total`, reads it again within the budget of the page. Without `total`, reads it only on request. */
function useSessions(
  node: NodeAddress,
  isEnabled: boolean,
  total: number | undefined,
  onProgress: (progress: readonly [number, number]) => void,
) {
  const { client, generation, budget } = useApi();
  return useQuery<readonly Session[]>({
    queryKey: ['sessions', generation, node.instanceId, node.nodeId],
    queryFn: ({ signal }) =>
      client.list(node, {
        signal,
        withTransactions: true,
        onProgress: (read, all) => {
          onProgress([read, all]);
        },
      }),
    enabled: isEnabled,
    staleTime: total === undefined ? Infinity : 5000,
    refetchInterval: () =>
      total !== undefined && budget.pauseFor(Math.ceil((total + 1) / PAGE_SIZE)),
    structuralSharing: (before, now) => shared(before as readonly Session[], now as Session[]),
  });
}

/** Returns the newer list with the objects of the older list where nothing has changed, so that their rows are not drawn again. */
function shared(
  before: readonly Session[] | undefined,
  now: readonly Session[],
): readonly Session[] {
  if (before === undefined) return now;
  const known = new Map(before.map((session) => [keyOf(session), session]));
  return now.map((session) => {
    const old = known.get(keyOf(session));
    return old !== undefined && isEqual(old, session) ? old : session;
  });
}

function isEqual(one: Session, other: Session): boolean {
  const text = (session: Session): string =>
    JSON.stringify(session, (_name, value: unknown) =>
      typeof value === 'bigint' ? value.toString() : value,
    );
  return text(one) === text(other);
}
