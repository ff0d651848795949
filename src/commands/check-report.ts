import type { Capabilities, Node } from '../domain/node.ts';
import { isAccountRefused } from '../mysql/node-trouble.ts';

const GAP = 2;
const LEAST_NODE_WIDTH = 10;

/** The result of the check of one node. */
export interface Tried {
  readonly node: Node;
  readonly found: Capabilities;
  /** The reasons for which a kill would fail, a sentence each. */
  readonly troubles: readonly string[];
}

/** A part of the service, where it is, and what is wrong with it. */
export interface PartState {
  readonly part: 'audit' | 'IAM' | 'store';
  readonly place: string;
  readonly trouble: string | undefined;
}

/** The result of `check`. */
export interface Findings {
  readonly nodes: readonly Tried[];
  /** The parts of the service that were configured. */
  readonly parts: readonly PartState[];
}

/** The findings as a table that fits into so many columns, and below it what is in the way, in words. */
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
    found.map((trouble) => `${node.nodeId}: ${trouble}`),
  );
  const told = parts.map(
    ({ part, place, trouble }) => `${part} ${place}: ${trouble ?? 'ready for use'}`,
  );
  const blocks = [lines.map((line) => line.trimEnd()), troubles, nodes.flatMap(pinLine), told];
  return blocks
    .filter((block) => block.length > 0)
    .map((block) => `${block.join('\n')}\n`)
    .join('\n');
}

/** The line that lets a spare port be used before the main port was ever reached. */
function pinLine({ node, found: { pin } }: Tried): string[] {
  if (node.admin === undefined || isPinned(node) || pin === undefined) return [];
  const what = 'For a spare port that may be used first, add to nodes.yaml';
  return [`${node.nodeId}: ${what}: ${pin.key}: ${pin.value}`];
}

function isPinned({ serverUuid, serverIdentity }: Node): boolean {
  return serverUuid !== undefined || serverIdentity !== undefined;
}

/** The findings for a program. */
export function renderJson({ nodes, parts }: Findings): string {
  const found = {
    nodes: nodes.map(({ node, found: { main, admin, server, pin }, troubles }) => ({
      node_id: node.nodeId,
      reachable: server !== undefined,
      main_port: main?.['en-us'] ?? 'open',
      admin_port: admin === 'none' ? 'not configured' : (admin?.['en-us'] ?? 'open'),
      tls: server?.line ?? null,
      flavour: server?.flavour ?? null,
      version: server?.version ?? null,
      server_uuid: server === undefined ? null : (node.serverUuid ?? 'not configured'),
      line_to_add: isPinned(node) || pin === undefined ? null : `${pin.key}: ${pin.value}`,
      missing_grants: server?.missingGrants ?? null,
      rollback_view: server?.canSeeRollbacks ?? null,
      second_opinion: server?.hasSecondOpinion ?? null,
      cut_hosts: server?.cutHosts ?? null,
      troubles,
    })),
    parts: parts.map(({ part, place, trouble = null }) => ({ part, place, trouble })),
  };
  return `${JSON.stringify(found, undefined, 2)}\n`;
}

function rowOf({ node, found: { main, admin, server } }: Tried): string[] {
  const yesNo = (value: boolean): string => (value ? 'yes' : 'no');
  const door = (trouble: object | undefined): string => (trouble === undefined ? 'open' : 'shut');
  const doors = [door(main), admin === 'none' ? 'none' : door(admin)];
  if (server === undefined) return [node.nodeId, '-', '-', ...doors, '-', '-', '-'];
  return [
    node.nodeId,
    `${server.flavour} ${server.version}${isPinned(node) ? ' (pinned)' : ''}`,
    server.line,
    ...doors,
    server.missingGrants.length === 0 ? 'all' : 'missing',
    yesNo(server.canSeeRollbacks),
    yesNo(server.hasSecondOpinion),
  ];
}

function padded(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
}

/** What would make a kill on this node fail, now or when it is full, and what helps: a sentence each. */
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
      `The main port, ${addressOf(node)}: ${main['en-us']}${isAccountRefused(main) ? WHY_REFUSED : ''}${causeOf(mainCause)}`,
    admin !== undefined &&
      admin !== 'none' &&
      `The spare port, ${addressOf(node.admin ?? node)}: ${admin['en-us']}${grants(adminGrants)}${causeOf(adminCause)}`,
    missing.length > 0 &&
      `The control account lacks a privilege, or the role that has it is no default role.${grants(missing)}`,
    cutHosts > 0 &&
      `The node cuts off long host names. Such sessions, now ${cutHosts}, are neither listed nor ended. Set performance_schema=ON on the node, and:${grants(['SELECT ON performance_schema.threads'])} Or set skip_name_resolve.`,
    server?.lacksProcedure === true &&
      'There is no procedure mysql.rds_kill, or the account may not execute it, and kill_with asks for it.',
  ].filter((trouble) => trouble !== false);
}

function causeOf(cause: string | undefined): string {
  return cause === undefined ? '' : ` (${cause})`;
}

/** What the node itself does not tell. */
const WHY_REFUSED =
  ' Is the password right, may the account come from here, and does the node have TLS if the account was made with REQUIRE SSL?';

function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The account, which the node names as `user@host`, as it stands in a statement. */
function quoted(account: string): string {
  const at = account.lastIndexOf('@');
  return [account.slice(0, at), account.slice(at + 1)]
    .map((part) => `'${part.replaceAll(/['\\]/g, '\\$&')}'`)
    .join('@');
}
