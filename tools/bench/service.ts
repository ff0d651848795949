import type { Build } from '../lib/build.ts';
import { configure, identityOf } from '../lib/configuration.ts';
import { LaunchedService } from '../lib/launched-service.ts';
import { instanceId, nodeId, PROJECT } from '../fleet/names.ts';
import { TOKEN } from './client.ts';
import { CONTROL } from './node.ts';

/** The settings of a measured service. */
export interface ServiceSettings {
  /** The ports of the nodes, in the order of their numbers. */
  readonly nodePorts: readonly number[];
  readonly isAudited?: boolean;
  /** Options of Node, such as --cpu-prof. */
  readonly nodeOptions?: readonly string[];
}

/** Returns the compiled service, configured for these nodes, not started yet. */
export function createService(
  build: Build,
  { nodePorts, isAudited = false, nodeOptions = [] }: ServiceSettings,
): LaunchedService {
  const service = new LaunchedService({
    program: [...nodeOptions, ...build.program],
    hasLogFile: true,
  });
  const settings = {
    server: { port: service.port },
    limits: { requests_per_minute: 1_000_000 },
    registry: { file: 'nodes.yaml', warm: 'all' },
    identity: identityOf(PROJECT, { bench: TOKEN }),
    ...(isAudited && { audit: { file: 'audit.jsonl' } }),
  };
  const nodes = nodePorts.map((port, node) => ({
    ...{ node_id: nodeId(node), instance_id: instanceId(node), project_id: PROJECT },
    ...{ host: '127.0.0.1', port, ...CONTROL, tls: 'disabled' },
  }));
  configure(service, settings, nodes);
  return service;
}
