import { nodeDefaults, nodesFile } from './config/nodes-file.ts';
import { serviceFile, type Config } from './config/service-file.ts';
import { readYamlFile, relativeTo, type Environment } from './config/yaml-file.ts';
import type { Node } from './domain/node.ts';
import type { RequestLimits } from './http/processes-controller.ts';
import type { AccessKey } from './identity/access-keys.ts';
import type { KeystoneSettings } from './identity/keystone-tokens.ts';
import type { StaticToken } from './identity/authenticator.ts';
import type { RedisSettings } from './store/redis-connection.ts';

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

/** What a reload does not change, to compare. */
export function fixedPart({
  server,
  log,
  limits,
  sessions,
  audit,
  metrics,
  registry,
}: Config): string {
  const { tls, ...listener } = server;
  const kinds = [tls !== undefined, tls?.ca !== undefined];
  return JSON.stringify([listener, log, limits, sessions, kinds, audit, metrics, registry.warm]);
}

/** The callers that have a token. */
export function tokensOf({ identity }: Config): StaticToken[] {
  return (identity.tokens ?? []).map(({ project_id, ...rest }) => ({
    ...rest,
    projectId: project_id,
  }));
}

/** The callers that have an access key. */
export function accessKeysOf({ identity }: Config): AccessKey[] {
  return (identity.access_keys ?? []).map(({ project_id, security_token, ...rest }) => ({
    ...rest,
    projectId: project_id,
    securityToken: security_token,
  }));
}

/** How IAM is asked, if it is. */
export function keystoneOf({ identity: { keystone } }: Config): KeystoneSettings | undefined {
  return (
    keystone && {
      endpoint: keystone.endpoint,
      cacheSeconds: keystone.cache_seconds,
      timeoutMs: keystone.timeout_ms,
      serviceToken: keystone.service_token,
      roleActions: keystone.role_actions,
    }
  );
}

/** Returns the limits of requests. */
export function requestLimitsOf({ limits, audit }: Config): RequestLimits {
  return {
    maxProcesses: limits.max_processes_per_request,
    maxBodyBytes: limits.max_body_bytes,
    isReasonRequired: audit?.require_reason ?? false,
    requestsPerMinute: limits.requests_per_minute,
    requestTimeoutMs: limits.request_timeout_ms,
    maxWaitSeconds: limits.max_wait_seconds,
  };
}

/** Where the store is, if there is one. */
export function storeOf({ limits: { store } }: Config): RedisSettings | undefined {
  if (store === undefined) return undefined;
  const { protocol, hostname, port, username, password, pathname } = new URL(store);
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port || 6379),
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...(/^\/\d+$/.test(pathname) && { database: Number(pathname.slice(1)) }),
    ...(protocol === 'rediss:' && { tls: {} }),
  };
}

function writtenRegistryFile(written: unknown): string | undefined {
  const { registry } = (written ?? {}) as { registry?: { file?: unknown } };
  return typeof registry?.file === 'string' ? registry.file : undefined;
}
