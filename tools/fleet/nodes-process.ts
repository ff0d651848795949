import { answerParent } from './child.ts';
import { range } from './names.ts';
import { SimulatedNode, type NodeCounts } from './simulated-node.ts';

const nodes: SimulatedNode[] = [];

/** The functions of the simulated nodes' process. */
export const nodesAnswers = {
  /** Starts `count` nodes and resolves to their ports. */
  start(count: number): Promise<number[]> {
    for (const number of range(0, count)) nodes.push(new SimulatedNode(number));
    return Promise.all(nodes.map((node) => node.listen()));
  },
  /** Returns the sums of the counts of these nodes. */
  counts(first: number, last: number): NodeCounts {
    const sum: NodeCounts = { opened: 0, closed: 0, warm: 0, lists: 0, kills: 0, pings: 0 };
    for (const { counts } of nodes.slice(first, last)) {
      for (const key of Object.keys(sum) as (keyof NodeCounts)[]) sum[key] += counts[key];
    }
    return sum;
  },
  /** Turns these nodes into black holes, or back. */
  setBlackHoled(first: number, last: number, isBlackHoled: boolean): void {
    for (const node of nodes.slice(first, last)) node.isBlackHoled = isBlackHoled;
  },
};

answerParent(nodesAnswers);
