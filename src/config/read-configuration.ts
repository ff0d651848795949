import { nodeDefaults, serviceFile, type Config } from './service-file.ts';
import type { Node } from '../domain/node.ts';
import { nodesFile } from './nodes-file.ts';
import { readYamlFile, relativeTo, type Environment } from './yaml-file.ts';

/** What both files say. */
export interface Configuration {
  readonly config: Config;
  readonly nodes: readonly Node[];
}

/** All that is wrong with either file, a line each. */
export interface Problems {
  readonly problems: readonly string[];
}

/** Reads the service's file at `path` and the file of the nodes that it names: what they say, or everything that is wrong with either. */
export function readConfiguration(
  path: string,
  environment: Environment,
): Configuration | Problems {
  const service = readYamlFile(path, serviceFile(path), environment);
  const registryFile = service.value?.registry.file ?? writtenRegistryFile(service.written);
  if (registryFile === undefined) return service;
  const nodesPath = relativeTo(path, registryFile);
  const defaults = service.value?.node_defaults ?? nodeDefaults.parse(undefined);
  const nodes = readYamlFile(nodesPath, nodesFile(nodesPath, defaults), environment);
  if (service.value === undefined || nodes.value === undefined) {
    return { problems: [...service.problems, ...nodes.problems] };
  }
  return { config: service.value, nodes: nodes.value.nodes };
}

/** The problems as they are told before the process ends. */
export function toldProblems({ problems }: Problems): string {
  return `Invalid configuration:\n  ${problems.join('\n  ')}\n`;
}

function writtenRegistryFile(written: unknown): string | undefined {
  const { registry } = (written ?? {}) as { registry?: { file?: unknown } };
  return typeof registry?.file === 'string' ? registry.file : undefined;
}
