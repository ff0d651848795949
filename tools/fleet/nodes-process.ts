import { answerParent } from './child.ts';
import { range } from './names.ts';
import { SimulatedNode, type NodeCounts } from './simulated-node.ts';

const nodes: SimulatedNode[] = [];

/** What the process with the simulated nodes can be asked. */
export const nodesAnswers = {
  /** Starts so many; their ports. */
  start(count: number): Promise<number[]> {
    for (const number of range(0, count)) nodes.push(new SimulatedNode(number));
    return Promise.all(nodes.map((node) => node.listen()));
  },
  /** The sums of these nodes. */
  counts(first: number, last: number): NodeCounts {
    const sum: NodeCounts = { opened: 0, closed: 0, warm: 0, lists: 0, kills: 0, pings: 0 };
    for (const { counts } of nodes.slice(first, last)) {
      for (const key of Object.keys(sum) as (keyof NodeCounts)[]) sum[key] += counts[key];
    }
    return sum;
  },
  darken(first: number, last: number, isDark: boolean): void {
    for (const node of nodes.slice(first, last)) node.isDark = isDark;
  },
};

answerParent(nodesAnswers);
