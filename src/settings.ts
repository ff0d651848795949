import type { Config } from './config/service-file.ts';
import type { AccessKey } from './identity/access-keys.ts';
import type { KeystoneSettings } from './identity/keystone-tokens.ts';
import type { StaticToken } from './identity/authenticator.ts';
import type { RedisSettings } from './store/redis-connection.ts';

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
