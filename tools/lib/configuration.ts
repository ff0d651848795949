import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import type { LaunchedService } from './launched-service.ts';

/** Writes both files of a service: its settings, with `nodes.yaml` as its registry, and its nodes. */
export function configure(
  service: LaunchedService,
  settings: object,
  nodes: readonly object[],
): void {
  service.write('service.yaml', stringify({ registry: { file: 'nodes.yaml' }, ...settings }));
  service.write('nodes.yaml', stringify({ nodes }));
}

/** Returns the settings with which each user may do everything in the project; a token by the name of its user. */
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
