import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import type { LaunchedService } from './launched-service.ts';

/** Writes the two configuration files of a service: `service.yaml` with the settings, and `nodes.yaml` with the nodes. */
export function configure(
  service: LaunchedService,
  settings: object,
  nodes: readonly object[],
): void {
  service.write('service.yaml', stringify({ registry: { file: 'nodes.yaml' }, ...settings }));
  service.write('nodes.yaml', stringify({ nodes }));
}

/** Returns settings that allow each user every action in the project. `tokens` maps a user to the user's token. */
export function identityOf(projectId: string, tokens: Readonly<Record<string, string>>): object {
  return {
    tokens: Object.entries(tokens).map(([user, token]) => ({
      sha256: createHash('sha256').update(token).digest('hex'),
      user,
      project_id: projectId,
      actions: ['*'],
    })),
  };
}
