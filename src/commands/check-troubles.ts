import type { Capabilities, Node } from '../domain/node.ts';
import { isAccountRefused } from '../mysql/node-trouble.ts';

/** What would make a kill on this node fail, now or when it is full, and what helps: a sentence each. */
export function nodeTroubles(
  node: Node,
  { main, admin, adminGrants, mainCause, adminCause, server }: Capabilities,
): string[] {
  const account = server === undefined ? `${node.user}@'…'` : quoted(server.account);
  const grants = (missing: readonly string[]): string =>
    missing.map((grant) => ` GRANT ${grant} TO ${account};`).join('');
  const missing = server?.missingGrants ?? [];
  return [
    ...(main === undefined
      ? []
      : [
          `The main port, ${addressOf(node)}: ${main['en-us']}${isAccountRefused(main) ? WHY_REFUSED : ''}${told(mainCause)}`,
        ]),
    ...(admin === undefined || admin === 'none'
      ? []
      : [
          `The spare port, ${addressOf(node.admin ?? node)}: ${admin['en-us']}${grants(adminGrants)}${told(adminCause)}`,
        ]),
    ...(missing.length === 0
      ? []
      : [
          `The control account lacks a privilege, or the role that has it is no default role.${grants(missing)}`,
        ]),
    ...((server?.cutHosts ?? 0) > 0
      ? [
          `The node cuts off long host names. Such sessions, now ${server?.cutHosts}, are neither listed nor ended. Set performance_schema=ON on the node, and:${grants(['SELECT ON performance_schema.threads'])} Or set skip_name_resolve.`,
        ]
      : []),
    ...(server?.lacksProcedure === true
      ? [
          'There is no procedure mysql.rds_kill, or the account may not execute it, and kill_with asks for it.',
        ]
      : []),
  ];
}

function told(cause: string | undefined): string {
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
