import type { Node, NodeKey } from '../../src/domain/node.ts';

/** The ids of the examples in the API documentation. */
export const nodeKey: NodeKey = {
  projectId: '619d3e78f61b4be68bc5aa0b59edcf7b',
  instanceId: 'a23fb62bd61e4e9e9636fd2225f395bein07',
  nodeId: '18663926eacb443d98dc20f8620f28f2no07',
};

/** Returns the path of the processes of a node. */
export function processesPath({ projectId, instanceId, nodeId }: NodeKey = nodeKey): string {
  return `/v3/${projectId}/instances/${instanceId}/nodes/${nodeId}/processes`;
}

/** A node of the registry that only a fake can reach. */
export const fakeNode: Node = {
  ...nodeKey,
  host: 'fake',
  port: 3306,
  user: 'session_control',
  password: 'unused',
  tls: 'offered',
  internalUsers: [],
  connectTimeoutMs: 1,
  listTimeoutMs: 1,
  killTimeoutMs: 200,
  killWith: 'kill',
};
