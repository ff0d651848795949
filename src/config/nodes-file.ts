import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { isLoopback, type Node, type NodeTls } from '../domain/node.ts';
import { relativeTo } from './yaml-file.ts';
import {
  distinct,
  EVEN_IF_WRONG,
  host,
  integer,
  keys,
  list,
  oneOf,
  text,
  textLike,
  timeLimit,
} from './yaml-keys.ts';

/** The schema of `node_defaults`: the time limits of a node that has none of its own. */
export const nodeDefaults = keys({
  connect_timeout_ms: timeLimit().default(3000),
  list_timeout_ms: timeLimit().default(5000),
  kill_timeout_ms: timeLimit().default(3000),
}).prefault({});

type NodeDefaults = z.output<typeof nodeDefaults>;

/** Returns the schema of the node file at `path`. Its output is the nodes. */
export function nodesFile(path: string, defaults: NodeDefaults) {
  const entry = keys({
    node_id: textLike(/^[A-Za-z0-9]{32}no07$/, '36 letters and digits that end in no07'),
    instance_id: textLike(/^[A-Za-z0-9]{32}in07$/, '36 letters and digits that end in in07'),
    project_id: textLike(/^[A-Za-z0-9]{32}$/, '32 letters and digits'),
    name: textLike(
      /^(?!\s)[^\p{C}\p{Zl}\p{Zp}]{1,64}(?<!\s)$/u,
      '1 to 64 characters, without control characters and without a space at either end',
    ).optional(),
    host: host(),
    port: integer(1, 65_535).default(3306),
    admin_port: integer(1, 65_535).optional(),
    admin_host: host().optional(),
    user: text(),
    password: text(0),
    tls: z
      .union([z.literal('disabled'), keys({ ca_file: text(), server_name: text().optional() })], {
        error: 'must be disabled, or a group of the keys ca_file and server_name',
      })
      .transform((tls, context) => withAuthority(tls, path, context))
      .default('offered'),
    server_uuid: textLike(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'a UUID').optional(),
    server_identity: textLike(/^[^:\s]+:\d{1,5}:\d{1,10}$/, 'hostname:port:server_id').optional(),
    internal_users: list(text()).default([]),
    kill_with: oneOf(['kill', 'rds_kill']).default('kill'),
    connect_timeout_ms: timeLimit().default(defaults.connect_timeout_ms),
    list_timeout_ms: timeLimit().default(defaults.list_timeout_ms),
    kill_timeout_ms: timeLimit().default(defaults.kill_timeout_ms),
  });
  const node = entry.superRefine(refuseCleartext, EVEN_IF_WRONG);
  const nodes = distinct(distinct(list(node, 1), 'node_id'), 'name', 'project_id');
  return keys({ nodes: nodes.transform((entries) => entries.map(nodeOf)) });
}

interface Entry extends NodeDefaults {
  readonly node_id: string;
  readonly instance_id: string;
  readonly project_id: string;
  readonly name?: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly admin_port?: number | undefined;
  readonly admin_host?: string | undefined;
  readonly user: string;
  readonly password: string;
  readonly tls: NodeTls;
  readonly server_uuid?: string | undefined;
  readonly server_identity?: string | undefined;
  readonly kill_with: 'kill' | 'rds_kill';
  readonly internal_users: readonly string[];
}

function nodeOf(entry: Entry): Node {
  return {
    nodeId: entry.node_id,
    instanceId: entry.instance_id,
    projectId: entry.project_id,
    name: entry.name,
    host: entry.host,
    port: entry.port,
    admin:
      entry.admin_port === undefined
        ? undefined
        : { host: entry.admin_host ?? entry.host, port: entry.admin_port },
    user: entry.user,
    password: entry.password,
    tls: entry.tls,
    serverUuid: entry.server_uuid?.toLowerCase(),
    serverIdentity: entry.server_identity?.toLowerCase(),
    internalUsers: entry.internal_users,
    connectTimeoutMs: entry.connect_timeout_ms,
    listTimeoutMs: entry.list_timeout_ms,
    killTimeoutMs: entry.kill_timeout_ms,
    killWith: entry.kill_with,
  };
}

/** Reads the certificate of the authority. Reports an issue of the key `ca_file` if there is none. */
function withAuthority(
  tls: 'disabled' | { readonly ca_file: string; readonly server_name?: string | undefined },
  path: string,
  context: z.RefinementCtx,
): NodeTls {
  if (tls === 'disabled') return tls;
  try {
    const ca = readFileSync(relativeTo(path, tls.ca_file), 'utf8');
    new X509Certificate(ca);
    return { ca, serverName: tls.server_name };
  } catch {
    const message = 'must name a readable file with a PEM certificate';
    context.addIssue({ code: 'custom', path: ['ca_file'], message });
    return z.NEVER;
  }
}

function refuseCleartext(entry: Partial<Entry>, context: z.RefinementCtx): void {
  const hosts = [entry.host, entry.admin_host].filter((host) => typeof host === 'string');
  if (entry.tls !== 'disabled' || hosts.every(isLoopback)) return;
  const message =
    'must not be disabled unless host and admin_host are on loopback: the password would cross the network in the clear';
  context.addIssue({ code: 'custom', path: ['tls'], message });
}
