import type { Deadline } from '../domain/deadline.ts';
import type { Node } from '../domain/node.ts';
import { ServiceError } from '../errors.ts';
import type { Connected } from './connected.ts';
import type { ServerIdentity } from './identity.ts';

/** Throws `node_unavailable`, with the first GRANT that is missing, unless the control account may see and end other accounts' sessions. */
export async function requireGrants(
  connected: Connected,
  identity: ServerIdentity,
  node: Node,
  deadline: Deadline,
): Promise<void> {
  const [first] = await missingGrants(connected, identity, node, deadline);
  if (first !== undefined) throw missing(first);
}

/**
 * What the control account lacks, as `PROCESS ON *.*`. Without PROCESS a server lists only the account's own sessions, and every other id
 * would seem not to exist. SHOW GRANTS has what the account's active roles bring; a role that is no default role is not active.
 */
export async function missingGrants(
  connected: Connected,
  identity: ServerIdentity,
  node: Node,
  deadline: Deadline,
): Promise<string[]> {
  const { rows } = await connected.query('SHOW GRANTS', node.listTimeoutMs, deadline);
  const grants = rows.map(([grant]) => (typeof grant === 'string' ? grant : ''));
  const everywhere = new Set(grants.flatMap((grant) => privilegesOn(grant, '*.*')));
  const has = (...privileges: string[]): boolean =>
    everywhere.has('ALL PRIVILEGES') || privileges.some((privilege) => everywhere.has(privilege));
  const lacking = has('PROCESS') ? [] : ['PROCESS ON *.*'];
  if (node.killWith === 'rds_kill') {
    const mayCall = has('EXECUTE') || mayCallRdsKill(grants);
    return [...lacking, ...(mayCall ? [] : ['EXECUTE ON PROCEDURE mysql.rds_kill'])];
  }
  const [wanted, ...alternatives] = killPrivileges(identity);
  return [...lacking, ...(has(wanted, ...alternatives) ? [] : [`${wanted} ON *.*`])];
}

/** What lets an account end other accounts' sessions; the first is the one to grant. */
function killPrivileges({ flavour, version }: ServerIdentity): readonly [string, ...string[]] {
  if (flavour === 'tidb') return ['CONNECTION_ADMIN', 'SUPER'];
  if (flavour === 'mariadb') {
    if (version >= 1100) return ['CONNECTION ADMIN'];
    return version >= 1005 ? ['CONNECTION ADMIN', 'SUPER'] : ['SUPER'];
  }
  return version >= 800 ? ['CONNECTION_ADMIN', 'SUPER'] : ['SUPER'];
}

function privilegesOn(grant: string, object: string): string[] {
  const [, privileges = '', on] = /^GRANT (.+?) ON (\S+|PROCEDURE \S+) TO /i.exec(grant) ?? [];
  if (on?.replaceAll('`', '').toLowerCase() !== object) return [];
  return privileges
    .toUpperCase()
    .split(',')
    .map((privilege) => privilege.trim());
}

function mayCallRdsKill(grants: readonly string[]): boolean {
  return ['procedure mysql.rds_kill', 'mysql.*'].some((object) =>
    grants.some((grant) =>
      privilegesOn(grant, object).some((privilege) => /^(EXECUTE|ALL PRIVILEGES)$/.test(privilege)),
    ),
  );
}

function missing(grant: string): ServiceError {
  return new ServiceError('node_unavailable', {
    'en-us': `The control account lacks a privilege on the node: GRANT ${grant}, or make the role that has it a default role.`,
    'zh-cn': `控制账号在节点上缺少权限：请执行GRANT ${grant}，或将拥有该权限的角色设为默认角色。`,
  });
}
