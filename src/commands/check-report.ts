import type { Capabilities } from '../domain/capabilities.ts';
import type { Node } from '../domain/node.ts';
import { isAccountRefused } from '../mysql/node-trouble.ts';

const GAP = 2;
const LEAST_NODE_WIDTH = 10;

/** The result of the check of one node. */
export interface NodeFindings {
  readonly node: Node;
  readonly found: Capabilities;
  /** The reasons for which a kill would fail, one sentence each. */
  readonly troubles: readonly string[];
}

/** A part of the service, its place, and the reason why it does not work. */
export interface PartState {
  readonly part: 'audit' | 'IAM' | 'store';
  readonly place: string;
  readonly trouble: string | undefined;
}

/** The result of `check`. */
export interface Findings {
  readonly nodes: readonly NodeFindings[];
  /** The configured parts of the service. */
  readonly parts: readonly PartState[];
}

/** Returns the findings as a table of at most `columns` characters a line. The problems follow as sentences. */
export function renderTable({ nodes, parts }: Findings, columns: number | undefined): string {
  const head = ['NODE', 'SERVER', 'TLS', 'MAIN', 'SPARE', 'GRANTS', 'ROLLBACKS', 'THREADS'];
  const rows = nodes.map(rowOf);
  const widths = head.map((title, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const [nodeWidth = 0, ...others] = widths;
  const rest = others.reduce((sum, width) => sum + width + GAP, 0);
  const room = Math.max(LEAST_NODE_WIDTH, (columns ?? Infinity) - rest);
  const fitted = [Math.min(nodeWidth, room), ...others];
  const lines = [head, ...rows].map((row) =>
    row.map((cell, index) => padded(cell, fitted[index] ?? 0)).join(' '.repeat(GAP)),
  );
  const troubles = nodes.flatMap(({ node, troubles: found }) =>
    found.map((trouble) => `${labelOf(node)}: ${trouble}`),
  );
  const partLines = parts.map(
    ({ part, place, trouble }) => `${part} ${place}: ${trouble ?? 'ready for use'}`,
  );
  const blocks = [lines.map((line) => line.trimEnd()), troubles, nodes.flatMap(pinLine), partLines];
  return blocks
    .filter((block) => block.length > 0)
    .map((block) => `${block.join('\n')}\n`)
    .join('\n');
}

/** Returns the line of nodes.yaml that allows the spare port before the main port was reached. */
function pinLine({ node, found: { pin } }: NodeFindings): string[] {
  if (node.admin === undefined || isPinned(node) || pin === undefined) return [];
  const what = 'To use the spare port before the main port was reached, add to nodes.yaml';
  return [`${labelOf(node)}: ${what}: ${pin.key}: ${pin.value}`];
}

function labelOf({ name, nodeId }: Node): string {
  return name === undefined ? nodeId : `${name} (${nodeId})`;
}

function isPinned({ serverUuid, serverIdentity }: Node): boolean {
  return serverUuid !== undefined || serverIdentity !== undefined;
}

/** Returns the findings as JSON. */
export function renderJson({ nodes, parts }: Findings): string {
  const found = {
    nodes: nodes.map(({ node, found: { main, admin, server, pin }, troubles }) => ({
      node_id: node.nodeId,
      ...(node.name !== undefined && { name: node.name }),
      reachable: server !== undefined,
      main_port: main?.['en-us'] ?? 'open',
      admin_port: admin === 'none' ? 'not configured' : (admin?.['en-us'] ?? 'open'),
      tls: server?.encryption ?? null,
      flavour: server?.flavour ?? null,
      version: server?.version ?? null,
      server_uuid: server === undefined ? null : (node.serverUuid ?? 'not configured'),
      line_to_add: isPinned(node) || pin === undefined ? null : `${pin.key}: ${pin.value}`,
      missing_grants: server?.missingGrants ?? null,
      rollback_view: server?.canSeeRollbacks ?? null,
      second_opinion: server?.hasSecondOpinion ?? null,
      cut_hosts: server?.cutHosts ?? null,
      optional_grants:
        server?.sources.optionalGrants.map(
          (grant) => `GRANT ${grant} TO ${quoted(server.account)};`,
        ) ?? null,
      troubles,
    })),
    parts: parts.map(({ part, place, trouble = null }) => ({ part, place, trouble })),
  };
  return `${JSON.stringify(found, undefined, 2)}\n`;
}

function rowOf({ node, found: { main, admin, server } }: NodeFindings): string[] {
  const yesNo = (value: boolean): string => (value ? 'yes' : 'no');
  const port = (trouble: object | undefined): string => (trouble === undefined ? 'open' : 'shut');
  const ports = [port(main), admin === 'none' ? 'none' : port(admin)];
  if (server === undefined) return [labelOf(node), '-', '-', ...ports, '-', '-', '-'];
  return [
    labelOf(node),
    `${server.flavour} ${server.version}${isPinned(node) ? ' (pinned)' : ''}`,
    server.encryption,
    ...ports,
    server.missingGrants.length === 0 ? 'all' : 'missing',
    yesNo(server.canSeeRollbacks),
    yesNo(server.hasSecondOpinion),
  ];
}

function padded(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
}

/** Returns the reasons why a kill on this node would fail, now or when the node is full: one sentence each, with its remedy. */
export function nodeTroubles(
  node: Node,
  { main, admin, adminGrants, mainCause, adminCause, server }: Capabilities,
): string[] {
  const account = server === undefined ? `${node.user}@'…'` : quoted(server.account);
  const grants = (missing: readonly string[]): string =>
    missing.map((grant) => ` GRANT ${grant} TO ${account};`).join('');
  const missing = server?.missingGrants ?? [];
  const cutHosts = server?.cutHosts ?? 0;
  return [
    main !== undefined &&
      `The main port, ${addressOf(node)}: ${main['en-us']}${isAccountRefused(main) ? whyRefused(node) : ''}${causeOf(mainCause)}`,
    admin !== undefined &&
      admin !== 'none' &&
      `The spare port, ${addressOf(node.admin ?? node)}: ${admin['en-us']}${grants(adminGrants)}${causeOf(adminCause)}`,
    missing.length > 0 &&
      `The control account lacks a privilege, or the role with this privilege is no default role.${grants(missing)}`,
    cutHosts > 0 &&
      `The node cuts off long host names. Such sessions, now ${cutHosts}, are neither listed nor ended. Set performance_schema=ON on the node, and:${grants(['SELECT ON performance_schema.threads'])} Or set skip_name_resolve.`,
    server?.lacksProcedure === true &&
      'kill_with is rds_kill, but the procedure mysql.rds_kill does not exist or the account may not execute it.',
  ].filter((trouble) => trouble !== false);
}

function causeOf(cause: string | undefined): string {
  return cause === undefined ? '' : ` (${cause})`;
}

/** Returns the usual causes of a refused login, which the node does not name. */
function whyRefused({ tls }: Node): string {
  const usual = ' Is the password right? May the account log in from this host?';
  const hasCertificate = typeof tls === 'object' && tls.client !== undefined;
  return hasCertificate
    ? `${usual} If the account has REQUIRE SUBJECT or ISSUER, does the certificate in cert_file match?`
    : `${usual} If the account has REQUIRE X509, set cert_file and key_file in nodes.yaml.`;
}

function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Returns the node's `user@host` in the quotes that a GRANT needs. */
function quoted(account: string): string {
  const at = account.lastIndexOf('@');
  return [account.slice(0, at), account.slice(at + 1)]
    .map((part) => `'${part.replaceAll(/['\\]/g, '\\$&')}'`)
    .join('@');
}
