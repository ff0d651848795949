import { useQuery } from '@tanstack/react-query';
import { formatDuration, type NodeAddress, type SessionSummary } from '../client/index.ts';
import { useApi } from './api.ts';
import { Failure } from './failure.tsx';
import { clock } from './format.ts';
import { useWords } from './words.ts';

/** Reads the summary of a node at most every 5 s, less often if many nodes are shown, and not while the tab is hidden. */
export function useSummary(node: NodeAddress, count: number) {
  const { client, generation, budget } = useApi();
  return useQuery<SessionSummary>({
    queryKey: ['summary', generation, node.instanceId, node.nodeId],
    queryFn: ({ signal }) => client.summary(node, signal),
    refetchInterval: () => budget.pauseFor(count),
    staleTime: 5000,
  });
}

/** The node in numbers. */
export function SummaryHead({
  node,
  onBlockers,
}: {
  readonly node: NodeAddress;
  readonly onBlockers: () => void;
}) {
  const words = useWords().head;
  const { data, error, dataUpdatedAt, refetch } = useSummary(node, 1);
  if (data === undefined) {
    return error ? <Failure error={error} onRetry={() => void refetch()} /> : <Waiting />;
  }
  const { total, byCommand, longest, blocked, transactions } = data;
  const idle = Object.entries(byCommand).reduce(
    (sum, [command, count]) => sum + (/^sleep$/i.test(command) ? count : 0),
    0,
  );
  const [first] = longest;
  const isRunning = first !== undefined && !/^sleep$/i.test(first.command);
  const numbers: [string, string][] = [
    [words.connections, total.toLocaleString()],
    [words.running, (total - idle).toLocaleString()],
    [words.longest, isRunning ? formatDuration(first.time) : words.none],
    [words.oldest, oldestOf(transactions, words)],
    [words.blocked, blocked === undefined ? words.unknown : blocked.toLocaleString()],
  ];
  return (
    <>
      {error && (
        <>
          <p className="warning">{words.stale(clock(dataUpdatedAt))}</p>
          <Failure error={error} />
        </>
      )}
      <div className="head">
        <dl className="numbers" aria-label={words.label}>
          {numbers.map(([name, value]) => (
            <div key={name} className={name === words.blocked && blocked ? 'bad' : undefined}>
              <dt>{name}</dt>
              <dd>
                {name === words.blocked && blocked ? (
                  <button type="button" className="link" onClick={onBlockers}>
                    {value}
                  </button>
                ) : (
                  value
                )}
              </dd>
            </div>
          ))}
        </dl>
        <p className="hint">{words.asOf(clock(dataUpdatedAt))}</p>
      </div>
      {data.missingTransactions !== undefined && <p className="hint">{data.missingTransactions}</p>}
    </>
  );
}

function oldestOf(
  transactions: SessionSummary['transactions'],
  words: { readonly unknown: string; readonly none: string },
): string {
  if (transactions === undefined) return words.unknown;
  return transactions.open === 0 ? words.none : formatDuration(transactions.longestSeconds);
}

function Waiting() {
  return (
    <p role="status" className="hint">
      {useWords().loading}
    </p>
  );
}
