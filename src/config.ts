import { isIP } from 'node:net';
import { z } from 'zod';
import { GRANTABLE_ACTIONS, type GrantedAction } from './domain/caller.ts';
import {
  distinct,
  flag,
  integer,
  keys,
  list,
  oneOf,
  text,
  textLike,
  timeLimit,
} from './yaml-keys.ts';

/** `config/service.yaml`, checked and with its defaults. The keys are those of the file. */
export type Config = z.output<typeof serviceFile>;

/** Limits of a node that the registry may override for each. */
export type NodeDefaults = Config['node_defaults'];

const token = keys({
  sha256: textLike(/^[0-9a-f]{64}$/i, 'a SHA-256 of 64 hex digits'),
  user: text(),
  project_id: textLike(/^[A-Za-z0-9]{32}$/, '32 letters and digits'),
  actions: list(oneOf(GRANTABLE_ACTIONS), 1),
});

const tokens = distinct(list(token, 1), 'sha256');

const PROXY_RULE =
  'must be true, false, a number of proxies, or their addresses or networks as one text with commas';

const proxies = text().refine(
  (addresses) =>
    addresses
      .split(',')
      .every(
        (address) =>
          /^(loopback|linklocal|uniquelocal)$/.test(address.trim()) || isNetwork(address.trim()),
      ),
  PROXY_RULE,
);

/** The schema of `config/service.yaml`. */
export const serviceFile = keys({
  server: keys({
    host: text().default('127.0.0.1'),
    // 0 takes any free port; the log says which.
    port: integer(0, 65_535),
    trust_proxy: z.union([flag(), integer(0, 100), proxies], { error: PROXY_RULE }).default(false),
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
  }).prefault({}),
  node_defaults: keys({
    connect_timeout_ms: timeLimit().default(3000),
    list_timeout_ms: timeLimit().default(5000),
    kill_timeout_ms: timeLimit().default(3000),
  }).prefault({}),
  sessions: keys({
    internal_users: list(text()).default([]),
    require_client_port: flag().default(true),
  }).prefault({}),
  registry: keys({ file: text() }),
  identity: keys({ tokens }),
});

function isNetwork(address: string): boolean {
  const [ip = '', bits = '0', ...rest] = address.split('/');
  const most = isIP(ip) === 6 ? 128 : 32;
  return isIP(ip) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most && rest.length === 0;
}

/** The tokens of the configuration, as callers. */
export function configuredTokens(config: Config): readonly {
  readonly sha256: string;
  readonly user: string;
  readonly projectId: string;
  readonly actions: readonly GrantedAction[];
}[] {
  return config.identity.tokens.map(({ project_id, ...rest }) => ({
    ...rest,
    projectId: project_id,
  }));
}
