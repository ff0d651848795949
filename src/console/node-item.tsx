import { formatDuration, type NodeEntry, type SessionSummary } from '../client/index.ts';
import { useApi } from './api.ts';
import { addressOfNode, clock, nameOf } from './format.ts';
import { addressOf, usePlace } from './place.ts';
import { useSummary } from './summary.tsx';
import { useWords, type Words } from './words.ts';

/** The numbers of many nodes are read less often. Then each node shows when that was. */
const MOST_MS_WITHOUT_TIME = 10_000;

/** A node in the list of nodes, with its problems. */
export function NodeItem({
  node,
  isChosen,
  count,
}: {
  readonly node: NodeEntry;
  readonly isChosen: boolean;
  readonly count: number;
}) {
  const words = useWords();
  const { projectId, budget } = useApi();
  const { tab } = usePlace();
  const { data, error, dataUpdatedAt } = useSummary(
    addressOfNode(projectId, node),
    isChosen ? 1 : count,
  );
  const trouble = error ? words.nodes.unreachable : data && troubleOf(data, words);
  return (
    <li>
      <a
        href={addressOf({ project: projectId, node: node.nodeId, tab })}
        aria-current={isChosen ? 'page' : undefined}
        title={error?.message ?? node.nodeId}
      >
        <strong>{nameOf(node)}</strong>{' '}
        <span className={error || (data?.blocked ?? 0) > 0 ? 'bad' : 'calm'}>
          {trouble ?? words.loading}
        </span>
        {data && budget.pauseFor(count) > MOST_MS_WITHOUT_TIME && (
          <small>{words.head.asOf(clock(dataUpdatedAt))}</small>
        )}
      </a>
    </li>
  );
}

function troubleOf({ blocked = 0, transactions }: SessionSummary, { nodes }: Words): string {
  const parts = [
    blocked > 0 ? nodes.blocked(blocked) : nodes.calm,
    ...(transactions !== undefined && transactions.open > 0
      ? [nodes.oldest(formatDuration(transactions.longestSeconds))]
      : []),
  ];
  return parts.join(', ');
}
