import { joinPages } from './joined-list.ts';
import type { HttpAnswer } from './transport.ts';
import { flag, integer, list, okFieldsOf, record, text } from './wire.ts';

/** A node of a project. */
export interface NodeEntry {
  readonly instanceId: string;
  readonly nodeId: string;
  /** The name from the configuration, unique in the project; undefined if none is configured. */
  readonly name: string | undefined;
}

/** The caller of a request, and the settings of the service that apply to it. */
export interface CallerFacts {
  readonly user: string;
  /** The actions that the caller has, such as `listProcesses`, `deleteProcesses` and `get`. */
  readonly actions: readonly string[];
  /** True if the service refuses a kill without a reason. */
  readonly isReasonRequired: boolean;
  /** True if an audit file records every kill. */
  readonly isAudited: boolean;
  /** The most reads of the caller in a minute, and the most kills. */
  readonly requestsPerMinute: number;
}

/** All nodes of a project, by instance id and node id, with the caller that the service recognised. */
export interface ProjectNodes {
  readonly nodes: readonly NodeEntry[];
  readonly caller: CallerFacts;
}

/** A page of the nodes, with the total number of nodes. */
export interface NodePage extends ProjectNodes {
  readonly total: number;
}

/** Reads the answer to GET …/nodes. Throws a `SessionControlError` if the answer is an error or malformed. */
export function nodePageOf(answer: HttpAnswer): NodePage {
  const fields = okFieldsOf(answer);
  const caller = record(answer, fields['caller']);
  return {
    nodes: list(answer, fields['nodes']).map((entry) => nodeOf(answer, entry)),
    total: Number(integer(answer, fields['total_count'])),
    caller: {
      user: text(answer, caller['user']),
      actions: list(answer, caller['actions']).map((action) => text(answer, action)),
      isReasonRequired: flag(answer, fields['reason_required']),
      isAudited: flag(answer, fields['audit']),
      requestsPerMinute: Number(integer(answer, fields['requests_per_minute'])),
    },
  };
}

/** Reads all pages. A node that stays during the read is in the result exactly once. */
export async function readNodes(
  readPage: (page: { offset: number; limit: number }) => Promise<NodePage>,
  onProgress?: (read: number, total: number) => void,
): Promise<ProjectNodes> {
  let caller: CallerFacts | undefined;
  const read = async (offset: number, limit: number) => {
    const page = await readPage({ offset, limit });
    caller ??= page.caller;
    return { items: page.nodes, total: page.total };
  };
  const key = ({ instanceId, nodeId }: NodeEntry): string => instanceId + nodeId;
  const nodes = await joinPages(read, key, onProgress);
  return { nodes, caller: caller as CallerFacts };
}

function nodeOf(answer: HttpAnswer, entry: unknown): NodeEntry {
  const fields = record(answer, entry);
  return {
    instanceId: text(answer, fields['instance_id']),
    nodeId: text(answer, fields['node_id']),
    name: fields['name'] === undefined ? undefined : text(answer, fields['name']),
  };
}
