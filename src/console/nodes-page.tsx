import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import type { NodeEntry, ProjectNodes } from '../client/index.ts';
import { useApi } from './api.ts';
import { Failure } from './failure.tsx';
import { addressOfNode, nameOf } from './format.ts';
import { NodeItem } from './node-item.tsx';
import { NodePage } from './node-page.tsx';
import { goTo, usePlace } from './place.ts';
import { useWords } from './words.ts';

const REFRESH_MS = 60_000;
const NO_NODES: readonly NodeEntry[] = [];

/** The nodes of the project, and the chosen one of them. */
export function NodesPage({ isCovered }: { readonly isCovered: boolean }) {
  const words = useWords();
  const { projectId, budget } = useApi();
  const place = usePlace();
  const { data, error, refetch } = useNodes();
  const nodes = data?.nodes ?? NO_NODES;
  const [only] = nodes.length === 1 ? nodes : [];
  useEffect(() => {
    if (only !== undefined && place.node === '') goTo({ project: projectId, node: only.nodeId });
  }, [only, place.node, projectId]);

  useEffect(() => {
    budget.chosenNode = place.node;
  }, [budget, place.node]);

  const chosen = nodes.find(({ nodeId }) => nodeId === place.node);
  return (
    <div className="columns">
      <nav aria-label={words.nodes.title}>
        <h2>{words.nodes.title}</h2>
        {error && <Failure error={error} onRetry={() => void refetch()} />}
        {data && nodes.length === 0 && <p>{words.nodes.none}</p>}
        <ul>
          {nodes.map((node) => (
            <NodeItem
              key={node.instanceId + node.nodeId}
              node={node}
              isChosen={node === chosen}
              count={nodes.length}
            />
          ))}
        </ul>
      </nav>
      <main>
        {chosen && data && (
          <NodePage
            key={chosen.instanceId + chosen.nodeId}
            name={nameOf(chosen)}
            address={addressOfNode(projectId, chosen)}
            caller={data.caller}
            isCovered={isCovered}
          />
        )}
        {data && !chosen && <p>{place.node === '' ? words.nodes.choose : words.nodes.unknown}</p>}
      </main>
    </div>
  );
}

function useNodes() {
  const { client, projectId, generation, budget } = useApi();
  return useQuery<ProjectNodes>({
    queryKey: ['nodes', generation],
    queryFn: async ({ signal }) => {
      const found = await client.nodes(projectId, { signal });
      budget.requestsPerMinute = found.caller.requestsPerMinute;
      return found;
    },
    refetchInterval: REFRESH_MS,
    // After a new sign-in, the page keeps its content until the nodes are read.
    placeholderData: keepPreviousData,
  });
}
