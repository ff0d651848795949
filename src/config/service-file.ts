import { accessSync, constants } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { GRANTABLE_ACTIONS, type GrantedAction } from '../domain/caller.ts';
import { nodeDefaults } from './nodes-file.ts';
import { PemFiles } from './pem-files.ts';
import { reasonOf, relativeTo } from './yaml-file.ts';
import {
  distinct,
  flag,
  host,
  id,
  integer,
  keys,
  list,
  oneOf,
  text,
  textLike,
  timeLimit,
  trustedProxies,
  trustsEveryPeer,
} from './yaml-keys.ts';

/** The content of the service's file, checked and with defaults, under the keys of the file. */
export type Config = z.output<ReturnType<typeof serviceFile>>;

const actions = list(oneOf(GRANTABLE_ACTIONS), 1);

/** The keys that describe the caller of a token or an access key. */
const callerKeys = {
  user: text(),
  project_id: id(''),
  actions,
};

const token = keys({
  sha256: textLike(
    /^[0-9a-f]{64}$/i,
    'a SHA-256 of 64 hex digits',
    'printf %s "$token" | sha256sum',
  ),
  ...callerKeys,
});

const accessKey = keys({
  access: textLike(/^[^\s,/]{1,128}$/, '1 to 128 characters without spaces, commas or slashes'),
  secret: text(),
  ...callerKeys,
  security_token: text().optional(),
});

const redisUrl = textLike(
  /^rediss?:\/\/([^\s/@:]*(:[^\s/@]*)?@)?[\w.[\]:-]+(\/\d*)?$/,
  'a URL such as redis://127.0.0.1:6379',
).refine(
  (url) => URL.canParse(url) && new URL(url).hostname !== '' && !/%(?![0-9A-Fa-f]{2})/.test(url),
  'must be a URL such as redis://127.0.0.1:6379',
);

const DEFAULT_ROLES: Record<string, GrantedAction[]> = {
  admin: ['*'],
  te_admin: ['*'],
  member: ['*'],
  reader: ['gaussdbformysql:instance:listProcesses', 'gaussdbformysql:instance:get'],
};

const keystone = keys({
  endpoint: textLike(
    /^https?:\/\/[^/?#\s]+(\/[^?#\s]*[^/?#\s])?$/,
    'an http(s) URL without a slash at its end',
  )
    .refine((url) => !url.endsWith('/v3'), 'must be without /v3')
    .refine((url) => URL.canParse(url), 'must be a URL')
    .refine((url) => !url.includes('@'), 'must hold no credentials'),
  cache_seconds: integer(1, 3600).default(30),
  timeout_ms: timeLimit().default(3000),
  service_token: textLike(/^[\x21-\x7e]+$/, 'visible ASCII characters without spaces').optional(),
  role_actions: z
    .record(z.string(), actions, { error: 'must be a group of roles' })
    .default(DEFAULT_ROLES),
});

const identity = keys({
  tokens: distinct(list(token, 1), 'sha256').optional(),
  keystone: keystone.optional(),
  access_keys: distinct(list(accessKey, 1), 'access').optional(),
}).refine(
  (kinds) => Object.values(kinds).some((kind) => kind !== undefined),
  'must hold at least one of tokens, keystone, access_keys',
);

/** Returns the schema of the service's file at `path`. */
export function serviceFile(path: string) {
  return keys({
    server: keys({
      host: host().default('127.0.0.1'),
      // With 0 the system chooses a free port, and the log shows it.
      port: integer(0, 65_535),
      tls: tlsFiles(path).optional(),
      max_connections_per_address: integer(1, 8192).default(1024),
      trust_proxy: trustedProxies().default(false),
      // Longer than proxies keep idle connections: a proxy loses a request that it sends while the service closes the connection.
      keep_alive_timeout_ms: timeLimit().default(75_000),
    }).refine(({ trust_proxy, tls }) => tls?.ca !== undefined || !trustsEveryPeer(trust_proxy), {
      path: ['trust_proxy'],
      message:
        'must not trust every peer, nor a network shorter than /8 (IPv6: /16), without tls.client_ca_file: any client could lock out any address; give the number of proxies, or their addresses',
    }),
    log: keys({
      level: oneOf(['error', 'warn', 'info', 'debug']).default('info'),
      format: oneOf(['json', 'text']).default('json'),
    }).prefault({}),
    limits: keys({
      max_processes_per_request: integer(1, 100_000).default(1000),
      max_body_bytes: integer(64, 16_777_216).default(262_144),
      max_wait_seconds: integer(0, 3600).default(60),
      request_timeout_ms: timeLimit().default(30_000),
      requests_per_minute: integer(1, 1_000_000).default(600),
      store: redisUrl.optional(),
    }).prefault({}),
    node_defaults: nodeDefaults,
    sessions: keys({
      internal_users: list(text()).default([]),
      require_client_port: flag().default(true),
    }).prefault({}),
    registry: keys({ file: text(), warm: oneOf(['all', 'on_demand']).default('on_demand') }),
    identity,
    audit: audit(path).optional(),
    console: flag().default(true),
    metrics: keys({ host: host().default('127.0.0.1'), port: integer(0, 65_535) }).optional(),
  });
}

function audit(path: string) {
  return keys({
    file: text()
      .transform((file) => relativeTo(path, file))
      .superRefine(requireWritableFolder),
    require_reason: flag().default(false),
    statements: flag().default(false),
  });
}

/** The certificates and the key of a TLS listener, in PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** The authority that must have signed the certificates of clients; undefined if clients need none. */
  readonly ca?: string | undefined;
}

function tlsFiles(path: string) {
  return keys({ cert_file: text(), key_file: text(), client_ca_file: text().optional() }).transform(
    (names, context): TlsFiles => {
      const files = new PemFiles(path, names, context);
      const pair = files.pair('cert_file', 'key_file') ?? { cert: '', key: '' };
      const { client_ca_file: ca } = names;
      return { ...pair, ca: ca === undefined ? undefined : files.certificate('client_ca_file') };
    },
  );
}

/** Reports an issue if the folder of the file cannot be written to. */
function requireWritableFolder(file: string, context: z.RefinementCtx): void {
  const folder = resolve(dirname(file));
  try {
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const message = `must be in a folder that exists and can be written to, not ${folder} (${reasonOf(error)})`;
    context.addIssue({ code: 'custom', message });
  }
}
