import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCheck } from './commands.ts';
import { nodeKey } from './ids.ts';
import type { Account, Server } from './server.ts';
import { sha256 } from './service.ts';

/** The differences in nodes.yaml from a healthy node. */
export interface NodeSettings {
  readonly account?: Account;
  readonly port?: number;
  /** More keys of the node. */
  readonly more?: string;
}

/** Writes both configuration files, with nodes that are all the same server. Returns the path of the service's file. */
export function writeCheckedFiles(
  folder: string,
  server: Server,
  nodes: readonly NodeSettings[],
  service = '',
): string {
  const file = join(folder, 'service.yaml');
  const { projectId, instanceId } = nodeKey;
  writeFileSync(
    file,
    `
server: { port: 0 }
registry: { file: nodes.yaml }
${service}
identity:
  tokens: [{ sha256: ${sha256('x')}, user: ops, project_id: ${projectId}, actions: ["*"] }]
`,
  );
  const entries = nodes.map(({ account = server.control, port = server.port, more = '' }, index) =>
    [
      `  - node_id: ${nodeId(index)}`,
      `instance_id: ${instanceId}`,
      `project_id: ${projectId}`,
      `host: ${server.host}`,
      `port: ${port}`,
      `user: ${account.user}`,
      `password: ${JSON.stringify(account.password)}`,
      more,
    ].join('\n    '),
  );
  writeFileSync(join(folder, 'nodes.yaml'), `nodes:\n${entries.join('\n')}\n`);
  return file;
}

/** Returns the id of the node with this index. */
export function nodeId(index: number): string {
  return `${index.toString().padStart(32, '0')}no07`;
}

/** Runs `session-control check` on one node. Resolves to its exit code and its entry for the node. */
export async function checkNode(
  folder: string,
  server: Server,
  settings: NodeSettings,
): Promise<[number, object]> {
  const { code, output } = await runCheck(writeCheckedFiles(folder, server, [settings]), {});
  const { nodes } = JSON.parse(output) as { nodes: readonly object[] };
  return [code, nodes[0] ?? {}];
}
