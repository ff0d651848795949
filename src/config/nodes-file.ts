import { z } from 'zod';
import { isLoopback, type Node, type NodeTls } from '../domain/node.ts';
import { PemFiles } from './pem-files.ts';
import {
  distinct,
  EVEN_IF_WRONG,
  host,
  id,
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
    node_id: id('no07'),
    instance_id: id('in07'),
    project_id: id(''),
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
    tls: tls(path).default('offered'),
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

function tls(path: string) {
  const names = keys({
    ca_file: text(),
    cert_file: text().optional(),
    key_file: text().optional(),
    server_name: text().optional(),
  });
  return z
    .union([z.literal('disabled'), names], {
      error: 'must be disabled, or a group with the key ca_file',
    })
    .transform((tls, context) => (tls === 'disabled' ? tls : readTls(tls, path, context)));
}

interface TlsNames {
  readonly ca_file: string;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
  readonly server_name?: string | undefined;
}

function readTls(names: TlsNames, path: string, context: z.RefinementCtx): NodeTls {
  const files = new PemFiles(path, names, context);
  const ca = files.certificate('ca_file');
  const [missing, ...others] = (['cert_file', 'key_file'] as const).filter((key) => !names[key]);
  if (missing !== undefined && others.length === 0) {
    const message = 'is required: cert_file and key_file belong together';
    context.addIssue({ code: 'custom', path: [missing], message });
  }
  const client = missing === undefined ? files.pair('cert_file', 'key_file') : undefined;
  return ca === undefined ? z.NEVER : { ca, client, serverName: names.server_name };
}

function refuseCleartext(entry: Partial<Entry>, context: z.RefinementCtx): void {
  const hosts = [entry.host, entry.admin_host].filter((host) => typeof host === 'string');
  if (entry.tls !== 'disabled' || hosts.every(isLoopback)) return;
  const message =
    'must not be disabled unless host and admin_host are on loopback: the password would cross the network in the clear';
  context.addIssue({ code: 'custom', path: ['tls'], message });
}
