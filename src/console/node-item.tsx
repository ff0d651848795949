import { formatDuration, type NodeEntry, type SessionSummary } from '../client/index.ts';
import { useApi } from './api.ts';
import { addressOfNode, nameOf } from './format.ts';
import { addressOf, usePlace } from './place.ts';
import { useSummary } from './summary.tsx';
import { useWords, type Words } from './words.ts';

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
  const { projectId } = useApi();
  const { tab } = usePlace();
  const { data, error } = useSummary(addressOfNode(projectId, node), isChosen ? 1 : count);
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
