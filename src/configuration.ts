import { dirname } from 'node:path';
import { nodeDefaults, nodesFile } from './config/nodes-file.ts';
import { serviceFile, type Config } from './config/service-file.ts';
import { readYamlFile, relativeTo, type Environment } from './config/yaml-file.ts';
import type { Node } from './domain/node.ts';
import type { RequestLimits } from './http/processes-controller.ts';
import type { AccessKey } from './identity/access-keys.ts';
import type { KeystoneSettings } from './identity/keystone-tokens.ts';
import type { StaticToken } from './identity/authenticator.ts';
import type { RedisSettings } from './store/redis-connection.ts';

/** The content of both configuration files. */
export interface Configuration {
  readonly config: Config;
  readonly nodes: readonly Node[];
}

/** All problems of both configuration files, one line each. */
export interface Problems {
  readonly problems: readonly string[];
}

/** Reads the service's file at `path` and the node file that it names. Returns their content, or all problems of both. */
export function readConfiguration(
  path: string,
  environment: Environment,
): Configuration | Problems {
  const service = readYamlFile(
    path,
    serviceFile(path),
    environment,
    `\`session-control init ${dirname(path)}\` writes a configuration; --config FILE or the variable CONFIG_FILE names another file`,
  );
  const registryFile = service.value?.registry.file ?? writtenRegistryFile(service.written);
  if (registryFile === undefined) return service;
  const nodesPath = relativeTo(path, registryFile);
  const defaults = service.value?.node_defaults ?? nodeDefaults.parse(undefined);
  const nodes = readYamlFile(
    nodesPath,
    nodesFile(nodesPath, defaults),
    environment,
    `the key registry.file of ${path} names it`,
  );
  if (service.value === undefined || nodes.value === undefined) {
    return { problems: [...service.problems, ...nodes.problems] };
  }
  return { config: service.value, nodes: nodes.value.nodes };
}

/** Returns the problems as text for standard error. */
export function renderProblems({ problems }: Problems): string {
  return `Invalid configuration:\n  ${problems.join('\n  ')}\n`;
}

/** Returns the settings that a reload cannot change, as text to compare. */
export function fixedPart({
  server,
  log,
  limits,
  sessions,
  audit,
  metrics,
  registry,
  console: hasConsole,
}: Config): string {
  const { tls, ...listener } = server;
  const tlsMode = [tls !== undefined, tls?.ca !== undefined];
  const { warm } = registry;
  const parts = [listener, log, limits, sessions, tlsMode, audit, metrics, warm, hasConsole];
  return JSON.stringify(parts);
}

/** Returns the configured tokens with their callers. */
export function tokensOf({ identity }: Config): StaticToken[] {
  return (identity.tokens ?? []).map(({ project_id, ...rest }) => ({
    ...rest,
    projectId: project_id,
  }));
}

/** Returns the configured access keys with their callers. */
export function accessKeysOf({ identity }: Config): AccessKey[] {
  return (identity.access_keys ?? []).map(({ project_id, security_token, ...rest }) => ({
    ...rest,
    projectId: project_id,
    securityToken: security_token,
  }));
}

/** Returns the settings of IAM, or undefined if it is not configured. */
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
    isAudited: audit !== undefined,
    requestsPerMinute: limits.requests_per_minute,
    requestTimeoutMs: limits.request_timeout_ms,
    maxWaitSeconds: limits.max_wait_seconds,
  };
}

/** Returns the settings of the store, or undefined if it is not configured. */
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

/** Returns the name of the node file, also if other keys of the service's file have problems. */
function writtenRegistryFile(written: unknown): string | undefined {
  const { registry } = (written ?? {}) as { registry?: { file?: unknown } };
  return typeof registry?.file === 'string' ? registry.file : undefined;
}
