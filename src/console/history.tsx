import type { NodeAddress } from '../client/index.ts';
import { useWords } from './words.ts';

/** The last kills on a node, with who and why. */
export function HistoryView({ node }: { readonly node: NodeAddress }) {
  const words = useWords().history;
  return <p aria-label={node.nodeId}>{words.incomplete}</p>;
}
